/**
 * Policy: who may register an agent and who may see the sessions, as the administrator's file says.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { readPolicy } from "../../src/io/relay/admission/policy.ts";
import { type Issuer, openIssuer } from "../support/issuer.ts";
import { people, scene, shared } from "../support/policy-scene.ts";
import { register } from "../support/stranger.ts";
import type { World } from "../support/world.ts";

const audience = "https://relay.example.com";

let issuer: Issuer;
before(async () => {
  issuer = await openIssuer();
});
after(() => issuer.close());

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
