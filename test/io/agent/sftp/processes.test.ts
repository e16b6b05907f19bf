/** Processes through sftp: no request, by whatever path, reaches what belongs to one. */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { codes, string, takeU32, types, u32 } from "../../../../src/io/agent/sftp/wire.ts";
import { entriesIn, meet, noAttrs, type Peer, R, W } from "../../../support/sftp-peer.ts";

const isLinux = process.platform === "linux";
const { PERMISSION_DENIED } = codes;

/** The status of the answer; OK for one that is no status. */
async function outcome(peer: Peer, type: number, ...parts: Buffer[]): Promise<number> {
  const answer = await peer.ask(type, ...parts);
  return answer.type === types.STATUS ? takeU32(answer.body) : codes.OK;
}

const extended = (name: string, ...paths: string[]): [number, ...Buffer[]] => [
  types.EXTENDED,
  string(name),
  ...paths.map(string),
];

/** Each request that has a path, with that path in its every place. */
const requests: Readonly<Record<string, (path: string) => [number, ...Buffer[]]>> = {
  open: (path) => [types.OPEN, string(path), u32(R), noAttrs],
  "open to write": (path) => [types.OPEN, string(path), u32(W), noAttrs],
  opendir: (path) => [types.OPENDIR, string(path)],
  stat: (path) => [types.STAT, string(path)],
  lstat: (path) => [types.LSTAT, string(path)],
  setstat: (path) => [types.SETSTAT, string(path), noAttrs],
  readlink: (path) => [types.READLINK, string(path)],
  realpath: (path) => [types.REALPATH, string(path)],
  remove: (path) => [types.REMOVE, string(path)],
  mkdir: (path) => [types.MKDIR, string(path), noAttrs],
  rmdir: (path) => [types.RMDIR, string(path)],
  "rename from": (path) => [types.RENAME, string(path), string("new")],
  "rename to": (path) => [types.RENAME, string("own"), string(path)],
  "symlink at": (path) => [types.SYMLINK, string("own"), string(path)],
  "posix-rename from": (path) => extended("posix-rename@openssh.com", path, "new"),
  "posix-rename to": (path) => extended("posix-rename@openssh.com", "own", path),
  "hardlink from": (path) => extended("hardlink@openssh.com", path, "new"),
  "hardlink to": (path) => extended("hardlink@openssh.com", "own", path),
  statvfs: (path) => extended("statvfs@openssh.com", path),
  lsetstat: (path) => [...extended("lsetstat@openssh.com", path), noAttrs],
  "expand-path": (path) => extended("expand-path@openssh.com", path),
};

const paths: readonly string[] = [
  "/proc/self/environ",
  "/proc/thread-self/environ",
  `/proc/${process.pid}/environ`,
  `/proc/${process.ppid}/environ`,
  `/proc/${process.pid}/task/${process.pid}/environ`,
  `/proc/1/../${process.pid}/mem`,
  `/proc/${process.pid}/root/etc/hostname`,
  `/proc/${process.pid}/cwd/../etc`,
  "/proc/net/tcp",
  "/dev/fd/0",
  "//proc//self/./environ",
  "link/environ",
  "to-link/environ",
  "fds/1",
];

for (const path of isLinux ? paths : [])
  test(`nothing is done with ${path.replaceAll(/\d{2,}/g, "PID")}`, async (t) => {
    const peer = await meet(t);
    writeFileSync(join(peer.home, "own"), "own");
    symlinkSync(`/proc/${process.pid}`, join(peer.home, "link"));
    symlinkSync("link", join(peer.home, "to-link"));
    symlinkSync("/dev/fd", join(peer.home, "fds"));
    for (const [name, request] of Object.entries(requests))
      assert.equal(await outcome(peer, ...request(path)), PERMISSION_DENIED, name);
  });

test("a link to a process can be made, seen and removed, and not followed", {
  skip: !isLinux,
}, async (t) => {
  const peer = await meet(t);
  for (const target of ["/proc/self/environ", "/dev/stdin", "/proc/self"]) {
    assert.equal(await outcome(peer, types.SYMLINK, string(target), string("x")), codes.OK);
    assert.equal(await outcome(peer, types.LSTAT, string("x")), codes.OK);
    assert.equal(await outcome(peer, types.READLINK, string("x")), codes.OK);
    for (const name of [
      "open",
      "open to write",
      "opendir",
      "stat",
      "setstat",
      "statvfs",
      "realpath",
    ])
      assert.equal(
        await outcome(peer, ...(requests[name] ?? assert.fail())("x")),
        PERMISSION_DENIED,
      );
    assert.equal(await outcome(peer, types.LSTAT, string("x/")), PERMISSION_DENIED);
    assert.equal(await outcome(peer, types.REMOVE, string("x")), codes.OK);
  }
});

test("the rest of /proc is as before, and so are links that go round", {
  skip: !isLinux,
}, async (t) => {
  const peer = await meet(t);
  for (const path of ["/proc/cpuinfo", "/proc/loadavg", "/proc/sys/kernel/ostype"]) {
    const handle = await peer.open(path, R);
    assert.equal(await peer.status(types.CLOSE, handle), codes.OK);
  }
  assert.ok((await entriesIn(peer, "/proc")).has("cpuinfo"));
  assert.equal(await outcome(peer, types.STAT, string("/proc")), codes.OK);
  symlinkSync("round", join(peer.home, "round"));
  assert.equal(await outcome(peer, types.STAT, string("round")), codes.NO_SUCH_FILE);
});
