/**
 * The one-liners on machines that have nothing: a shell with a terminal in Debian's smallest root
 * and in one that holds only busybox; caches, damage, and the usage page's own commands.
 */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { type Choices, defaults } from "../../web/choices.ts";
import { commandsFor } from "../../web/commands.ts";
import { endPrograms, finished, folder, type Program, program, run } from "../support/child.ts";
import { jobFolder, type RelayProgram, relayProgram } from "../support/programs.ts";
import { busyboxOnly, copyOf, inRoot, minbase } from "../support/roots.ts";
import { screen } from "../support/screen.ts";
import { built, root } from "../support/shipped.ts";

let relay: RelayProgram;
/** Passes requests on to the relay, counts what is fetched, and damages it when told to. */
let mirror: Server;
let mirrorUrl = "";
let fetched: string[] = [];
let isDamaging = false;

before(async () => {
  relay = await relayProgram();
  mirror = createServer((incoming, answer) => {
    if (incoming.url?.startsWith("/static/")) fetched.push(incoming.url);
    const onward = request(
      { port: relay.port, host: "127.0.0.1", path: incoming.url, headers: incoming.headers },
      (response) => {
        answer.writeHead(response.statusCode ?? 500, response.headers);
        let isFirst = isDamaging && incoming.url?.startsWith("/static/");
        response.on("data", (data: Buffer) => {
          if (isFirst) data.writeUInt8(data.readUInt8(data.length >> 1) ^ 1, data.length >> 1);
          isFirst = false;
          answer.write(data);
        });
        response.on("end", () => answer.end());
      },
    );
    incoming.pipe(onward);
  });
  await new Promise<void>((done) => mirror.listen(0, "127.0.0.1", done));
  mirrorUrl = `http://127.0.0.1:${(mirror.address() as AddressInfo).port}`;
});
afterEach(() => {
  fetched = [];
  isDamaging = false;
});
after(async () => {
  mirror.closeAllConnections();
  mirror.close();
  await endPrograms();
});

const clean = { PATH: "/usr/local/bin:/usr/bin:/bin" };
/** The line that the usage page prints for a job. */
const oneLiner = (url: string, args: string): string =>
  `{ curl -fsSL ${url}/agent.sh || wget -qO- ${url}/agent.sh || echo exit 3; } | sh -s -- ${args}`;

/** ssh's arguments for an agent under an id that allows the key. */
const sshTo = (id: string, keyFile: string): string[] => [
  "-F/dev/null",
  `-oProxyCommand=${process.execPath} ${built("wsproxy")} ${relay.url}/client/${id}`,
  "-oUserKnownHostsFile=/dev/null",
  "-oStrictHostKeyChecking=accept-new",
  "-oIdentitiesOnly=yes",
  "-i",
  keyFile,
  `job@${id}`,
];

/** A person in the session: a terminal that is resized, and a shell that ends with 7. */
async function useTerminal(id: string, keyFile: string): Promise<void> {
  const shell = screen("ssh", ["-tt", ...sshTo(id, keyFile)]);
  try {
    await shell.see(/[$#] /);
    shell.type("stty size; tty\r");
    await shell.see("24 80");
    await shell.see("/dev/pts/");
    shell.resize(101, 37);
    shell.type("while [ \"$(stty size)\" != '37 101' ]; do sleep 0.05; done; echo re''sized\r");
    await shell.see("resized");
    shell.type("echo $((40+2)) in $agentdir; exit 7\r");
    await shell.see(/42 in \S+/);
    assert.equal(await shell.exited, 7);
  } finally {
    try {
      process.kill(shell.pid, "SIGKILL");
    } catch {
      // it ended by itself, as it should
    }
  }
}

/** A root with a key for the job, and the key. */
function withKey(dir: string): string {
  const { dir: keys, keyFile } = jobFolder();
  writeFileSync(
    join(dir, "job/.authorized_keys"),
    readFileSync(join(keys, ".authorized_keys"), "utf8"),
  );
  return keyFile;
}

const ended = async (agent: Program): Promise<void> => {
  const { status, err, out } = await finished(agent);
  assert.equal(status, 0, err + out);
};

describe("in Debian's smallest root", () => {
  let dir: string;
  let keyFile: string;
  before(() => {
    dir = copyOf(minbase(), join(folder(), "root"));
    keyFile = withKey(dir);
    for (const name of ["curl", "wget", "python3", "node"])
      assert.equal(existsSync(join(dir, "usr/bin", name)), false, name);
  });
  /** Nothing can fetch the script there but apt's helper, so it comes as a file. */
  const script = async (url: string): Promise<void> =>
    writeFileSync(join(dir, "job/agent.sh"), await (await fetch(`${url}/agent.sh`)).text());

  test("the script gives a shell with a terminal", async () => {
    await script(relay.url);
    const agent = inRoot(dir, "sh -s -- --id minbase < agent.sh");
    await agent.see("rendez-vous id   minbase");
    await useTerminal("minbase", keyFile);
    await ended(agent);
    assert.match(agent.err(), /converge: fetching agent-linux-x64\n/);
  });

  test("the second time nothing is fetched, and a damaged cache is mended", async () => {
    await script(mirrorUrl);
    const again = inRoot(dir, `sh -s -- --id again ${relay.url} < agent.sh`);
    await again.see("rendez-vous id   again");
    await run("ssh", [...sshTo("again", keyFile), "true"]);
    await ended(again);
    assert.deepEqual(fetched, []);
    const cache = join(dir, "root/.cache/converge");
    const [kept = ""] = readdirSync(cache);
    writeFileSync(join(cache, kept), "#!/bin/sh\necho not this\n");
    const third = inRoot(dir, `sh -s -- --id third ${relay.url} < agent.sh`);
    await third.see("rendez-vous id   third");
    third.kill("SIGKILL");
    assert.deepEqual(fetched, ["/static/agent-linux-x64.gz"]);
    assert.deepEqual(readdirSync(cache), [kept]);
  });

  test("a damaged download starts nothing and leaves nothing", async () => {
    isDamaging = true;
    await script(mirrorUrl);
    const agent = inRoot(dir, `CONVERGE_CACHE=/job/fresh sh -s -- ${relay.url} < agent.sh`);
    const { status, err } = await finished(agent);
    assert.equal(status, 1);
    assert.match(err, /is damaged\. Try again\.|Nothing was started\./);
    assert.deepEqual(readdirSync(join(dir, "job/fresh")), []);
  });

  test("a home that is read-only and a /tmp that runs nothing are worked round", async () => {
    await script(relay.url);
    const before = `mount -t tmpfs -o noexec none "$1/tmp"; mount -t tmpfs -o ro none "$1/root"`;
    const agent = inRoot(dir, "sh -s -- --id cramped < agent.sh", { before });
    await agent.see("rendez-vous id   cramped");
    await useTerminal("cramped", keyFile);
    await ended(agent);
    assert.deepEqual(readdirSync(join(dir, "var/tmp")), ["converge-0"]);
  });
});

test("in a root that holds only busybox, the one-liner gives a shell with a terminal", async () => {
  const dir = busyboxOnly(join(folder(), "root"));
  const keyFile = withKey(dir);
  const agent = inRoot(dir, oneLiner(relay.url, "--id busybox"));
  await agent.see("rendez-vous id   busybox");
  await useTerminal("busybox", keyFile);
  await ended(agent);
  assert.match(agent.err(), /fetching libs-linux-x64\.tar\.gz/);
});

describe("on a machine with Node", () => {
  test("the job's NODE_OPTIONS does not reach the agent and comes back in the shell", async () => {
    const { dir, keyFile } = jobFolder();
    const options = "--require /nowhere/at-all.js";
    const agent = program("sh", ["-c", oneLiner(relay.url, "--id options")], {
      cwd: dir,
      env: { ...clean, HOME: dir, NODE_OPTIONS: options },
    });
    await agent.see("rendez-vous id   options");
    const { stdout } = await run("ssh", [...sshTo("options", keyFile), 'echo "$NODE_OPTIONS"']);
    assert.equal(stdout.toString(), `${options}\n`);
    await ended(agent);
    assert.match(agent.err(), /converge: fetching agent\.cjs\n/);
    // Nothing is left of it but the cache and what the test itself made.
    assert.deepEqual(readdirSync(dir).sort(), [".authorized_keys", ".bashrc", ".cache", "id"]);
    assert.equal(readdirSync(join(dir, ".cache/converge")).length, 1);
  });

  for (const tool of ["curl", "wget", "python3", "node"])
    test(`${tool} alone can fetch it`, async () => {
      const { dir } = jobFolder();
      const bin = join(dir, "bin");
      mkdirSync(bin);
      const needed = "sh id ls mkdir chmod rm mv sha256sum printf cat node env".split(" ");
      for (const name of new Set([...needed, tool])) {
        const found = ["/usr/bin", "/usr/local/bin"].map((at) => join(at, name)).find(existsSync);
        if (found) symlinkSync(found, join(bin, name));
      }
      writeFileSync(join(dir, "agent.sh"), await (await fetch(`${mirrorUrl}/agent.sh`)).text());
      const { status, stdout, stderr } = await run("/bin/sh", ["agent.sh", "--version"], {
        cwd: dir,
        env: { PATH: bin, HOME: dir },
      });
      assert.deepEqual([status, stdout.toString()], [0, "0.1.0\n"], stderr);
      assert.deepEqual(fetched, ["/static/agent.cjs"]);
    });

  test("a file with another hash is refused in a sentence", async () => {
    isDamaging = true;
    const { dir } = jobFolder();
    const { status, stderr } = await run("sh", ["-c", oneLiner(mirrorUrl, "--version")], {
      cwd: dir,
      env: { ...clean, HOME: dir },
    });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^converge: fetching agent\.cjs\nconverge: agent\.cjs has the SHA-256 [0-9a-f]{64} and should have [0-9a-f]{64}\. Nothing was started\.\n$/,
    );
    assert.deepEqual(readdirSync(join(dir, ".cache/converge")), []);
  });
});

test("another release in the same cache leaves a wsproxy that is installed alone", async () => {
  const { dir } = jobFolder();
  const env = { ...clean, HOME: dir };
  const install = `curl -fsSL ${relay.url}/wsproxy.sh | sh`;
  assert.equal((await run("sh", ["-c", install], { env })).status, 0);
  const cache = join(dir, ".cache/converge");
  const [own = ""] = readdirSync(cache).filter((name) => name.endsWith("-wsproxy.cjs"));
  const other = `${"0".repeat(64)}-wsproxy.cjs`;
  const ancient = `${"1".repeat(64)}-wsproxy.cjs`;
  for (const name of [other, ancient]) writeFileSync(join(cache, name), "");
  utimesSync(join(cache, ancient), 0, 0);
  rmSync(join(cache, own)); // so that it is fetched, and the cache is tidied
  assert.equal((await run("sh", ["-c", install], { env })).status, 0);
  const left = readdirSync(cache).filter((name) => name.endsWith("-wsproxy.cjs"));
  assert.deepEqual(left.sort(), [other, own].sort());
});

test("a cache folder that others may write to is not used", async () => {
  const { dir } = jobFolder();
  const open = join(dir, "open");
  mkdirSync(open);
  chmodSync(open, 0o777);
  const { status, stdout } = await run("sh", ["-c", oneLiner(relay.url, "--version")], {
    cwd: dir,
    env: { ...clean, HOME: dir, CONVERGE_CACHE: open },
  });
  assert.deepEqual([status, stdout.toString()], [0, "0.1.0\n"]);
  assert.deepEqual(readdirSync(open), []);
});

describe("wsproxy.sh", () => {
  test("makes a command, says where, and makes it anew", async () => {
    const { dir } = jobFolder();
    const env = { ...clean, HOME: dir };
    const install = `curl -fsSL ${mirrorUrl}/wsproxy.sh | sh`;
    const file = join(dir, ".local/bin/wsproxy");
    const first = await run("sh", ["-c", install], { env });
    assert.equal(first.status, 0, first.stderr);
    assert.equal(
      first.stderr,
      `converge: fetching wsproxy.cjs\nconverge: ${file} is installed.\nconverge: ${dir}/.local/bin is not in your PATH. Add it: export PATH='${dir}/.local/bin':$PATH\n`,
    );
    rmSync(file);
    const second = await run("sh", ["-c", install], {
      env: { ...env, PATH: `${clean.PATH}:${dir}/.local/bin` },
    });
    assert.equal(second.stderr, `converge: ${file} is installed.\n`);
    assert.equal(statSync(file).mode & 0o777, 0o755);
    const { stdout } = await run(file, ["--version"], { env: { ...env, NODE_OPTIONS: "--bogus" } });
    assert.equal(stdout.toString(), "0.1.0\n");
  });

  test("without Node the executable takes its place, in a folder with a quote", async () => {
    const dir = join(folder(), "it's here");
    mkdirSync(dir);
    const { status, stderr } = await run(
      "sh",
      ["-c", `curl -fsSL ${relay.url}/wsproxy.sh | sh -s -- "$HOME/my bin"`],
      { env: { ...clean, HOME: dir, CONVERGE_STANDALONE: "1" } },
    );
    assert.equal(status, 0, stderr);
    const help = await run(join(dir, "my bin/wsproxy"), ["--help"]);
    assert.match(help.stdout.toString(), /^Usage: wsproxy /);
  });
});

test("the usage page's own commands bring a person into the job", async () => {
  const { dir, keyFile } = jobFolder();
  const keyText = readFileSync(join(dir, ".authorized_keys"), "utf8").trim();
  rmSync(join(dir, ".authorized_keys"));
  const choices: Choices = {
    ...defaults,
    ci: "shell",
    id: "from-the-page",
    keys: "text",
    keyText,
    timeout: "5m",
  };
  const { job, install, client, problems } = commandsFor(choices, relay.url);
  assert.deepEqual(problems, {});
  const env = { ...clean, HOME: dir, PATH: `${dir}/.local/bin:${clean.PATH}` };
  const agent = program("sh", ["-c", job.code], { cwd: dir, env });
  await agent.see("rendez-vous id   from-the-page");
  writeFileSync(join(dir, ".hold"), "");
  assert.equal((await run("sh", ["-c", install.code], { env })).status, 0);
  const code = (id: string) => client.find((one) => one.id === id)?.code.trim() ?? "";
  const key = `-F/dev/null -i ${keyFile} -oIdentitiesOnly=yes`;
  const person = await run("sh", ["-c", `${code("ssh")} ${key} echo hello`], { cwd: dir, env });
  assert.deepEqual([person.status, person.stdout.toString()], [0, "hello\n"], person.stderr);
  writeFileSync(join(dir, "build.log"), "it failed\n");
  const into = folder();
  const copy = code("scp").replace("scp ", `scp ${key} `);
  assert.equal((await run("sh", ["-c", copy], { cwd: into, env })).status, 0);
  assert.equal(readFileSync(join(into, "build.log"), "utf8"), "it failed\n");
  mkdirSync(join(dir, "build"));
  writeFileSync(join(dir, "build/x"), "x");
  const sync = code("rsync").replace("'ssh ", `'ssh ${key} `);
  const synced = await run("sh", ["-c", sync], { cwd: into, env });
  assert.equal(synced.status, 0, synced.stderr);
  assert.equal(readFileSync(join(into, "build/x"), "utf8"), "x");
  writeFileSync(join(into, "config"), code("config"));
  const short = `ssh -F config -i ${keyFile} -oIdentitiesOnly=yes from-the-page.converge echo short`;
  assert.equal((await run("sh", ["-c", short], { cwd: into, env })).stdout.toString(), "short\n");
  rmSync(join(dir, ".hold")); // nobody is there, so the job goes on
  await ended(agent);
});

describe("what the relay serves", () => {
  test("files have validators, ranges, packed copies and hashes", async () => {
    const url = `${relay.url}/static/agent.cjs`;
    const file = readFileSync(join(root, "dist/downloads/agent.cjs"));
    const whole = await fetch(url, { headers: { "accept-encoding": "identity" } });
    assert.deepEqual(Buffer.from(await whole.arrayBuffer()), file);
    const etag = whole.headers.get("etag") ?? "";
    const ask = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", `If-None-Match: ${etag}`];
    assert.equal((await run("curl", [...ask, url])).stdout.toString(), "304");
    const part = await fetch(url, {
      headers: { range: "bytes=10-19", "accept-encoding": "identity" },
    });
    assert.deepEqual(
      [part.status, part.headers.get("content-range"), Buffer.from(await part.arrayBuffer())],
      [206, `bytes 10-19/${file.length}`, file.subarray(10, 20)],
    );
    const packed = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    assert.equal(packed.headers.get("content-encoding"), "gzip");
    assert.deepEqual(Buffer.from(await packed.arrayBuffer()), file);
    const alias = await fetch(`${relay.url}/static/agent`, { redirect: "manual" });
    assert.equal(alias.headers.get("location"), "agent-linux-x64");
    for (const path of [
      ".agent.cjs",
      "sub/agent.cjs",
      "..%2f..%2fpackage.json",
      "../../package.json",
      ".hidden",
      "%00",
    ])
      assert.ok((await fetch(`${relay.url}/static/${path}`)).status >= 400, path);
    const sums = await (await fetch(`${relay.url}/static/SHA256SUMS`)).text();
    const check = await run("sha256sum", ["--check", "--ignore-missing", "-"], {
      cwd: join(root, "dist/downloads"),
      input: sums,
    });
    assert.equal(check.status, 0, check.stderr);
    assert.match(check.stdout.toString(), /agent-linux-x64: OK\nagent\.cjs: OK\n/);
  });

  test("scripts are clean for shellcheck, with whatever address the relay is asked under", async () => {
    for (const [host, isGood] of [
      ["relay.example", true],
      ["[::1]:8000", true],
      ["it's$(touch gone)`x`", false],
      ["a^b", false],
    ] as const)
      for (const name of ["agent.sh", "wsproxy.sh"]) {
        const text = await new Promise<string>((done) => {
          const asked = { port: relay.port, path: `/${name}`, headers: { host } };
          request(asked, (answer) => {
            let all = "";
            answer.on("data", (data) => {
              all += data;
            });
            answer.on("end", () => done(all));
          }).end();
        });
        if (!isGood) {
          assert.equal(text, "The Host header of this request is no host name.\n");
          continue;
        }
        const { status, stdout } = await run("shellcheck", ["-"], { input: text });
        assert.deepEqual([status, stdout.toString()], [0, ""], `${name} for ${host}`);
        assert.match(text, /^relay=\S+$/m);
      }
  });
});
