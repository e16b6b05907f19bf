/** Keyring: a file edited under its eyes, and one hand on the clock. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { SimulatedClock } from "xstate";
import type { Clock } from "../../../../src/actors/clock.ts";
import { type KeySet, openKeyring } from "../../../../src/io/agent/keys/keyring.ts";
import { ed25519Pair } from "../../../support/ed25519-pair.ts";

const key = (name: string): string => `${ed25519Pair().public.trim()} ${name}\n`;
const [anna, ben, carol] = [key("anna"), key("ben"), key("carol")];

const folder = mkdtempSync(join(tmpdir(), "converge-keyring-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function fileWith(text: string): string {
  const path = join(folder, `keys-${files++}`);
  writeFileSync(path, text);
  return path;
}

class Hand extends SimulatedClock implements Clock {
  wall(): number {
    return this.now();
  }
}

/** Waits, in real time, for something visible. */
async function until(isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 5_000;
  while (!isSo()) {
    assert.ok(performance.now() < deadline, "it never became visible");
    await turn();
  }
}

function names({ keys, problems }: KeySet): { who: string[]; problems: string[] } {
  return { who: keys.map(({ comment }) => comment), problems: [...problems] };
}

/** A keyring on one file, with a pause that does what the test says instead of waiting. */
function onFile(file: string, pause: (ms: number) => void = () => undefined) {
  const clock = new Hand();
  const told: string[] = [];
  const waits: number[] = [];
  const keyring = openKeyring(
    {
      file,
      urls: [],
      pause: (ms) => {
        waits.push(ms);
        pause(ms);
        return turn();
      },
    },
    clock,
    (what) => told.push(what),
  );
  return { clock, keyring, told, waits, read: async () => names(await keyring.read()) };
}

describe("a keys file", () => {
  test("is read afresh every time", async () => {
    const file = fileWith(anna);
    const { read, keyring } = onFile(file);
    assert.deepEqual(await read(), { who: ["anna"], problems: [] });
    writeFileSync(file, ben + carol);
    assert.deepEqual(await read(), { who: ["ben", "carol"], problems: [] });
    writeFileSync(file, "");
    assert.deepEqual(await read(), { who: [], problems: [] });
    keyring.close();
    writeFileSync(file, anna);
    assert.deepEqual(await read(), { who: ["anna"], problems: [] });
  });

  test("has its bad lines named, and no more than twenty of them", async () => {
    const few = fileWith(`${anna}tunnel="0" ${ben}${carol}`);
    assert.deepEqual(await onFile(few).read(), {
      who: ["anna", "carol"],
      problems: [`Line 2 of ${few} is refused: its option "tunnel" is not supported.`],
    });
    const many = await onFile(fileWith(`nonsense\n`.repeat(30) + anna)).read();
    assert.deepEqual([many.who, many.problems.length], [["anna"], 21]);
    assert.match(many.problems[20] ?? "", /^10 more lines of .* are refused\.$/);
  });

  test("lets nobody in while it is missing, and is waited for only once", async () => {
    const { read, waits, keyring } = onFile(join(folder, "missing"));
    await keyring.ready;
    const waited = waits.length;
    assert.deepEqual(waits, [20, 40, 80, 160]);
    assert.deepEqual(await read(), { who: [], problems: [] });
    assert.equal(waits.length, waited);
  });

  test("that is saved by rename is not missing", async () => {
    const file = fileWith(anna);
    const { read, keyring, waits } = onFile(file, (ms) => {
      if (ms === 80) renameSync(fileWith(ben), file);
    });
    await keyring.ready;
    unlinkSync(file);
    assert.deepEqual(await read(), { who: ["ben"], problems: [] });
    assert.deepEqual(waits, [20, 40, 80]);
  });

  for (const [name, make, why] of [
    ["a folder", (path: string) => mkdirSync(path), "it is not a regular file"],
    ["a pipe", (path: string) => execFileSync("mkfifo", [path]), "it is not a regular file"],
    [
      "too large",
      (path: string) => writeFileSync(path, Buffer.alloc(1024 * 1024 + 1, "#")),
      "it is larger than 1 MiB",
    ],
  ] as const) {
    test(`that is ${name} lets nobody in and says so`, async () => {
      const path = join(folder, `bad-${files++}`);
      make(path);
      assert.deepEqual(await onFile(path).read(), {
        who: [],
        problems: [`The keys file ${path} cannot be read: ${why}.`],
      });
    });
  }

  test("of exactly 1 MiB is still read", async () => {
    const file = fileWith(anna.padEnd(1024 * 1024, "\n"));
    assert.deepEqual(await onFile(file).read(), { who: ["anna"], problems: [] });
  });

  test("that may not be read says so", async () => {
    const file = fileWith(anna);
    execFileSync("chmod", ["000", file]);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534); // root may read everything
    try {
      const { who, problems } = await onFile(file).read();
      assert.deepEqual([who, problems.length], [[], 1]);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });
});

describe("a change of the keys file", () => {
  test("is told once a change, within a second, and not after close", async () => {
    const file = fileWith(anna);
    const { clock, keyring, told } = onFile(file);
    await keyring.ready;
    writeFileSync(file, anna + ben);
    clock.increment(999);
    await turn();
    assert.deepEqual(told, []);
    clock.increment(1);
    await until(() => told.length === 1);
    // Looks that find nothing new say nothing: the next thing told is the next change.
    for (let n = 0; n < 3; n++) {
      clock.increment(1_000);
      await keyring.read();
    }
    unlinkSync(file);
    while (told.length < 2) {
      clock.increment(1_000);
      await keyring.read();
    }
    assert.deepEqual(told, ["keys file changed", "keys file changed"]);
    keyring.close();
    writeFileSync(file, carol);
    clock.increment(10_000);
    await keyring.read();
    assert.equal(told.length, 2);
  });

  test("that is seen only after close is not told", async () => {
    const file = fileWith(anna);
    const { clock, keyring, told } = onFile(file);
    await keyring.ready;
    writeFileSync(file, ben);
    clock.increment(1_000);
    keyring.close();
    for (let n = 0; n < 5; n++) await keyring.read();
    assert.deepEqual(told, []);
  });

  test("by rename is one change, even when the look falls into its gap", async () => {
    const file = fileWith(anna);
    let isSaved = false;
    const { clock, keyring, told } = onFile(file, () => {
      if (!isSaved) renameSync(fileWith(ben), file);
      isSaved = true;
    });
    await keyring.ready;
    unlinkSync(file);
    clock.increment(1_000);
    await until(() => told.length > 0);
    assert.ok(isSaved);
    for (let n = 0; n < 3; n++) {
      clock.increment(1_000);
      await keyring.read();
    }
    assert.deepEqual(told, ["keys file changed"]);
    keyring.close();
  });
});

const wide = (text: string, mark = ""): Buffer => Buffer.from(`${mark}${text}`, "utf16le");
for (const [how, bytes, want] of [
  ["with a mark at its start", Buffer.from(`\ufeff${anna}`), ["anna"]],
  ["as Windows PowerShell writes it", wide(`${anna?.trim()}\r\n`, "\ufeff"), ["anna"]],
  [
    "as Windows PowerShell appends to it",
    Buffer.concat([Buffer.from(`${anna}`), wide(`${ben?.trim()}\r\n`)]),
    ["anna", "ben"],
  ],
] as const)
  test(`a file ${how} is read`, async () => {
    const file = fileWith("");
    writeFileSync(file, bytes);
    const keyring = openKeyring({ file, urls: [] }, new Hand(), () => {});
    assert.deepEqual(names(await keyring.read()), { who: want, problems: [] });
    keyring.close();
  });
