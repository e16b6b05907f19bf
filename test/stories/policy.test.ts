/**
 * Policy: who may register an agent and who may see the sessions, as the administrator's file says.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readPolicy } from "../../src/io/relay/admission/policy.ts";
import { run } from "../support/child.ts";
import { handClock } from "../support/clock.ts";
import { type Issuer, openIssuer } from "../support/issuer.ts";
import { built } from "../support/shipped.ts";
import { register, stranger } from "../support/stranger.ts";
import { until } from "../support/until.ts";
import { meet, type World } from "../support/world.ts";

const shared = "a-token-of-the-agents-0001";
const people = "a-token-of-the-people-0002";
const audience = "https://relay.example.com";

let issuer: Issuer;
before(async () => {
  issuer = await openIssuer();
});
after(() => issuer.close());

interface Scene {
  readonly world: World;
  readonly base: string;
  /** Puts a policy in the place of the one that is there, and waits until the relay says that it saw it. */
  change(policy: unknown): Promise<void>;
  /** What an upgrade to `/agent/…` with this token is answered. */
  knock(token?: string): Promise<{ status: number; body: string }>;
  fields(message: string): Record<string, unknown>[];
}

async function scene(policy: unknown, act: (scene: Scene) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "policy-"));
  const file = join(dir, "policy.json");
  const write = (what: unknown): void =>
    writeFileSync(file, typeof what === "string" ? what : JSON.stringify(what));
  writeFileSync(join(dir, "agents"), `${shared}\n`);
  writeFileSync(join(dir, "people"), people);
  write(policy);
  const world = await meet(null, { policy: file }, handClock({ pings: false }));
  const fields = (message: string): Record<string, unknown>[] =>
    world.relay.log.lines.filter((line) => line.message === message).map((line) => line.fields);
  const base = world.relay.url.href.replace(/\/$/, "");
  let agents = 0;
  try {
    await act({
      world,
      base,
      fields,
      change: async (what) => {
        const seen = (): number =>
          fields("policy reloaded").length + fields("policy not reloaded").length;
        const before = seen();
        write(what);
        await until("the policy was read again", () => seen() > before);
      },
      knock: async (token) => {
        agents += 1;
        const link = stranger(`${base}/agent/agent-${agents}`, "converge.agent.v1", {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        });
        await until("an answer", () => link.refusal() || link.isOpen());
        const answer = link.refusal() ?? { status: 101, body: "" };
        link.socket.terminate();
        return answer;
      },
    });
  } finally {
    await world.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

const inAnHour = (world: World): number => Math.floor(world.clock.wall() / 1_000) + 3_600;

test("a shared token lets an agent register; without one it ends at once, and is told what to give", () =>
  scene({ register: [{ tokenFile: "agents" }] }, async ({ world, fields, knock }) => {
    const agent = await world.startAgent({ id: "vouched", registerToken: () => shared });
    assert.equal(agent.news[0]?.event, "ready");
    assert.equal((await world.ssh(["echo", "in"], { agent })).stdout.toString(), "in\n");
    assert.equal(fields("agent session started")[0]?.["voucher"], "shared token");

    const without = await world.startAgent({ id: "unvouched" });
    const ending = without.ending();
    assert.ok(ending instanceof Error);
    assert.match(ending.message, /This relay wants a token of agents: give --register-token-file/);
    assert.deepEqual(await knock(`${shared}x`), {
      status: 401,
      body: "That token does not let an agent register here.\n",
    });
    for (const { reason, status } of fields("connection refused"))
      assert.deepEqual([reason, status], ["token", 401]);
    assert.ok(!JSON.stringify(world.relay.log.lines).includes(shared));
  }));

test("the built agent takes its token from a file or the environment, and no shell has it", () =>
  scene({ register: [{ tokenFile: "agents" }] }, async ({ world, base }) => {
    const env = { CONVERGE_AUTHORIZED_KEYS: join(world.dir, "keys"), SHELL: "/bin/sh" };
    writeFileSync(env.CONVERGE_AUTHORIZED_KEYS, `${world.publicKey}\n`);
    const file = join(world.dir, "token");
    const begin = (args: string[], more: Record<string, string>) =>
      run(process.execPath, [built("agent"), "--join-timeout", "3s", ...args, base], {
        env: { ...env, ...more },
      });
    writeFileSync(file, `${shared}\n`);
    for (const result of [
      await begin(["--register-token-file", file], {}),
      await begin([], { CONVERGE_REGISTER_TOKEN: shared }),
    ]) {
      assert.equal(result.status, 0, result.stderr);
      assert.match(result.stdout.toString(), /SHA256:/);
      assert.match(result.stderr, /token goes unencrypted/);
      assert.ok(!`${result.stdout}${result.stderr}`.includes(shared));
    }
    const refused = await begin([], { CONVERGE_REGISTER_TOKEN: "x".repeat(20) });
    assert.equal(refused.status, 6);
    assert.match(refused.stderr, /The relay refused: That token does not let an agent register/);
    for (const [args, more, said] of [
      [["--register-token-file", `${file}.not`], {}, /--register-token-file .*no such file/],
      [[], { CONVERGE_REGISTER_TOKEN: "two words" }, /holds no token: one word is expected/],
      [["--register-token-file", file], { CONVERGE_REGISTER_TOKEN: "x" }, /not both/],
    ] as const) {
      const wrong = await begin([...args], more);
      assert.equal(wrong.status, 2);
      assert.match(wrong.stderr, said);
    }
    const agent = await world.startAgent({
      id: "quiet",
      registerToken: () => shared,
      job: { CONVERGE_REGISTER_TOKEN: shared },
    });
    const { stdout } = await world.ssh(["env"], { agent });
    assert.ok(!stdout.includes(shared));
  }));

test("a token that a CI signed is judged by signature, audience, expiry and claims", () =>
  scene(
    {
      register: [
        {
          issuer: issuer.url,
          jwks: issuer.jwks,
          audience,
          claims: { repository_owner: "example", ref: ["refs/heads/*", "refs/tags/v?"] },
        },
      ],
    },
    async ({ world, knock, fields }) => {
      const good = {
        iss: issuer.url,
        aud: audience,
        exp: inAnHour(world),
        sub: "repo:example/app",
        repository_owner: "example",
        ref: "refs/heads/main",
      };
      const token = await issuer.sign(good);
      const { socket } = await register(world.relay.url, "signed", {
        options: { headers: { authorization: `bearer ${token}` } },
      });
      assert.equal(fields("agent session started")[0]?.["voucher"], `${issuer.url} ${good.sub}`);
      socket.terminate();

      const encode = (part: object): string =>
        Buffer.from(JSON.stringify(part)).toString("base64url");
      const { aud: _, ...noAudience } = good;
      const { exp: __, ...noEnd } = good;
      const table: [string, Promise<string> | string, RegExp][] = [
        ["another key", issuer.sign(good, { forged: true }), /signature/],
        ["no signature", `${encode({ alg: "none" })}.${encode(good)}.`, /signature/],
        ["a MAC", `${encode({ alg: "HS256", kid: "key-1" })}.${encode(good)}.AAAA`, /signature/],
        [
          "another key's id",
          `${encode({ alg: "RS256", kid: "x" })}.${encode(good)}.AAAA`,
          /signat/,
        ],
        ["another issuer", issuer.sign({ ...good, iss: "https://evil.example" }), /does not let/],
        ["another audience", issuer.sign({ ...good, aud: "https://other.example" }), /claim aud/],
        ["no audience", issuer.sign(noAudience), /claim aud/],
        ["expired", issuer.sign({ ...good, exp: good.exp - 3_700 }), /has expired/],
        ["endless", issuer.sign(noEnd), /claim exp/],
        ["not yet", issuer.sign({ ...good, nbf: good.exp }), /claim nbf/],
        ["another owner", issuer.sign({ ...good, repository_owner: "example-evil" }), /_owner/],
        ["an owner that is an object", issuer.sign({ ...good, repository_owner: {} }), /_owner/],
        ["another ref", issuer.sign({ ...good, ref: "refs/tags/v10" }), /claim ref/],
        ["not a token of this kind", "garbage.garbage.garbage", /does not let/],
      ];
      for (const [what, wrong, said] of table) {
        const answer = await knock(await wrong);
        assert.equal(answer.status, 401, what);
        assert.match(answer.body, said, what);
      }
      assert.equal((await knock(await issuer.sign({ ...good, ref: "refs/tags/v2" }))).status, 101);
      // One token in a thousand shapes does not make the relay ask the issuer a thousand times.
      assert.equal(issuer.asked(), 1);
      assert.ok(!JSON.stringify(world.relay.log.lines).includes(token));
    },
  ));

test("keys that cannot be had are no refusal, and shut the door while they are away", () =>
  scene(
    { register: [{ issuer: issuer.url, jwks: `${issuer.jwks}2`, audience, claims: { a: "*" } }] },
    async ({ world, knock, fields }) => {
      issuer.fail(true);
      const token = await issuer.sign({
        iss: issuer.url,
        aud: audience,
        exp: inAnHour(world),
        a: "1",
      });
      const answer = await knock(token);
      issuer.fail(false);
      assert.equal(answer.status, 503);
      assert.match(answer.body, /^The keys of http:\S+ cannot be had now: /);
      assert.equal(fields("connection refused")[0]?.["reason"], "issuer");
      assert.equal((await knock(token)).status, 101);
    },
  ));

test("a change counts at once; one that cannot be used is reported, and opens nothing", () =>
  scene({}, async ({ knock, change, fields }) => {
    assert.equal((await knock()).status, 101);
    await change({ register: [{ tokenFile: "agents" }] });
    assert.equal((await knock()).status, 401);
    await change('{ "register": ');
    assert.match(String(fields("policy not reloaded")[0]?.["reason"]), /policy\.json: .*JSON/);
    assert.equal((await knock()).status, 401);
    await change({ register: "open" });
    assert.equal((await knock()).status, 101);
  }));

test("the sessions page is for everybody, for who has the token, or for nobody", () =>
  scene({ sessions: { tokenFile: "people" } }, async ({ base, change, fields, world }) => {
    await register(world.relay.url, "hidden-one");
    const paths = ["/sessions", "/api/sessions", "/api/sessions/live"];
    const ask = async (path: string, authorization = ""): Promise<[number, string, Response]> => {
      const stop = new AbortController();
      const answer = await fetch(base + path, { headers: { authorization }, signal: stop.signal });
      const first = await answer.body?.getReader().read();
      stop.abort();
      return [answer.status, Buffer.from(first?.value ?? []).toString(), answer];
    };
    const basic = (password: string): string => `Basic ${btoa(`anybody:${password}`)}`;
    for (const path of paths) {
      for (const wrong of ["", "Bearer x", basic("x"), basic(shared), `Basic ${btoa(people)}:`]) {
        const [status, body, answer] = await ask(path, wrong);
        assert.equal(status, 401, `${path} ${wrong}`);
        assert.match(answer.headers.get("www-authenticate") ?? "", /^Basic realm=/);
        assert.ok(!body.includes("hidden-one"));
      }
      for (const right of [basic(people), `Bearer ${people}`]) {
        const [status, body, answer] = await ask(path, right);
        assert.equal(status, 200, path);
        assert.equal(answer.headers.get("cache-control"), "no-store");
        if (path !== "/sessions") assert.ok(body.includes("hidden-one"));
      }
      // HEAD and other spellings of a path are the same path.
      assert.equal((await fetch(`${base}${path}`, { method: "HEAD" })).status === 200, false);
      for (const spelled of [`${base}/${path}`, `${base}${path}/`, `${base}${path}%2f`])
        assert.ok(!(await (await fetch(spelled)).text()).includes("hidden-one"), spelled);
    }
    assert.equal((await ask("/usage"))[0], 200);
    assert.ok(fields("connection refused").every(({ reason }) => reason === "token"));

    const feed = await fetch(`${base}/api/sessions/live`, {
      headers: { authorization: basic(people) },
    });
    await change({ sessions: "off" });
    await feed.text(); // it ends
    for (const path of paths) assert.equal((await ask(path, basic(people)))[0], 404, path);
    assert.ok(!(await ask("/"))[1].includes('aria-label="Pages"><ul><li><a href="sessions'));
    const page = await (await fetch(`${base}/usage`)).text();
    assert.ok(!page.includes('<li><a href="sessions"'));
    assert.match(page, /Nobody sees the sessions here/);
    await change({});
    for (const path of paths) assert.equal((await ask(path))[0], 200, path);
  }));

test("a policy that could mean less than it says is refused, with the place", () => {
  const dir = mkdtempSync(join(tmpdir(), "policy-"));
  const rule = { issuer: "i", audience, jwks: "https://i.example/keys", claims: { a: "b" } };
  writeFileSync(join(dir, "short"), "too-short\n");
  const table: [unknown, RegExp][] = [
    ["not JSON", /JSON/],
    [[], /not an object/],
    [{ registre: [] }, /registre/],
    [{ register: [] }, /register/],
    [{ register: "closed" }, /register/],
    [{ register: [{ ...rule, claims: {} }] }, /at least one claim/],
    [{ register: [{ ...rule, claims: { a: [] } }] }, /register/],
    [{ register: [{ ...rule, jwks: "http://i.example/keys" }] }, /https/],
    [{ register: [{ ...rule, jwks: "http://localhost.evil.example/" }] }, /https/],
    [{ register: [{ ...rule, audience: undefined }] }, /audience/],
    [{ register: [{ tokenFile: "none" }] }, /none/],
    [{ register: [{ tokenFile: "short" }] }, /shorter than 16/],
    [{ sessions: "secret" }, /sessions/],
    [`{ "sessions": "${"x".repeat(70_000)}" }`, /64 KiB/],
  ];
  try {
    const file = join(dir, "policy.json");
    for (const [policy, said] of table) {
      writeFileSync(file, typeof policy === "string" ? policy : JSON.stringify(policy));
      assert.throws(
        () => readPolicy(file),
        (error: Error) => {
          assert.match(error.message, said);
          assert.ok(error.message.startsWith(`--policy ${file}: `), error.message);
          return true;
        },
        JSON.stringify(policy),
      );
    }
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
