/** Sftp peer: a client that sends packets as they are, to a server over two streams. */
import assert from "node:assert/strict";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import type { TestContext } from "node:test";
import { type Attrs, takeAttrs } from "../../src/io/agent/sftp/attrs.ts";
import { serveSftp } from "../../src/io/agent/sftp/server.ts";
import {
  codes,
  type Pieces,
  packet,
  packetReader,
  string,
  takeString,
  takeU32,
  types,
  u32,
} from "../../src/io/agent/sftp/wire.ts";

export const R = 1;
export const W = 2;
export const RW = 3;
export const APPEND = 4;
export const CREAT = 8;
export const TRUNC = 16;
export const EXCL = 32;
export const noAttrs = u32(0);

/** Two streams, each reading what the other writes, with back-pressure. */
export function pair(highWaterMark: number): [Duplex, Duplex] {
  const taken: (() => void)[][] = [[], []];
  const make = (own: number): Duplex =>
    new Duplex({
      highWaterMark,
      read() {
        for (const go of taken[own]?.splice(0) ?? []) go();
      },
      write(chunk, _encoding, done) {
        const other = ends[1 - own];
        if (other?.push(Buffer.from(chunk)) === false) taken[1 - own]?.push(done);
        else done();
      },
      final(done) {
        ends[1 - own]?.push(null);
        done();
      },
    });
  const ends: [Duplex, Duplex] = [make(0), make(1)];
  return ends;
}

export interface Answer {
  readonly type: number;
  readonly id: number;
  readonly body: Pieces;
}

export interface Peer {
  readonly home: string;
  readonly stream: Duplex;
  readonly served: Promise<void>;
  /** Bytes of all replies, as `onReply` told them. */
  replied(): number;
  send(type: number, id: number, ...parts: Buffer[]): void;
  /** The next packet, whoever it answers; undefined when the server has ended the stream. */
  next(): Promise<Answer | undefined>;
  /** Sends one request and gives its answer. */
  ask(type: number, ...parts: Buffer[]): Promise<Answer>;
  /** The status code of the answer. */
  status(type: number, ...parts: Buffer[]): Promise<number>;
  /** Opens and gives the handle, ready to be a part. */
  open(name: string | Buffer, flags: number): Promise<Buffer>;
}

export interface Setting {
  readonly readOnly?: boolean;
  readonly greet?: boolean;
  readonly home?: string;
  readonly highWaterMark?: number;
  /** What the client says it is. */
  readonly software?: string;
}

export async function meet(t: TestContext, setting: Setting = {}): Promise<Peer> {
  const home = setting.home ?? (await realpath(await mkdtemp(join(tmpdir(), "converge-sftp-"))));
  const [stream, channel] = pair(setting.highWaterMark ?? 65_536);
  let replied = 0;
  const served = serveSftp(channel, {
    home,
    userHome: "/the/users/home",
    readOnly: setting.readOnly ?? false,
    software: setting.software ?? "OpenSSH_9.2p1",
    onReply: (bytes) => {
      replied += bytes;
    },
  });
  t.after(async () => {
    stream.destroy();
    channel.destroy();
    await served;
    await rm(home, { recursive: true, force: true });
  });
  const reader = packetReader();
  const chunks = stream.iterator({ destroyOnReturn: false });
  let ids = 0;
  const next = async (): Promise<Answer | undefined> => {
    for (;;) {
      const found = reader.next();
      if (found) return { type: found.type, id: takeU32(found.body), body: found.body };
      const chunk = await chunks.next();
      if (chunk.done) return undefined;
      reader.push(chunk.value);
    }
  };
  const send = (type: number, id: number, ...parts: Buffer[]): void => {
    stream.write(packet(type, u32(id), ...parts));
  };
  const ask = async (type: number, ...parts: Buffer[]): Promise<Answer> => {
    ids += 1;
    send(type, ids, ...parts);
    const answer = await next();
    assert.ok(answer, "the server has ended the session");
    assert.equal(answer.id, ids);
    return answer;
  };
  const status = async (type: number, ...parts: Buffer[]): Promise<number> => {
    const answer = await ask(type, ...parts);
    assert.equal(answer.type, types.STATUS);
    return takeU32(answer.body);
  };
  const openHandle = async (name: string | Buffer, flags: number): Promise<Buffer> => {
    const answer = await ask(types.OPEN, string(name), u32(flags), noAttrs);
    assert.equal(answer.type, types.HANDLE, `${name} was not opened`);
    return string(takeString(answer.body));
  };
  if (setting.greet !== false) {
    stream.write(packet(types.INIT, u32(3)));
    const version = await next();
    assert.equal(version?.type, types.VERSION);
    assert.equal(version?.id, 3);
  }
  return {
    ...{ home, stream, served, replied: () => replied },
    ...{ send, next, ask, status, open: openHandle },
  };
}

export function nameIn({ type, body }: Answer): string {
  assert.equal(type, types.NAME);
  assert.equal(takeU32(body), 1);
  return takeString(body).toString();
}

export function attrsIn({ type, body }: Answer): Attrs {
  assert.equal(type, types.ATTRS);
  return takeAttrs(body);
}

export async function entriesIn(peer: Peer, path: string): Promise<Map<string, string>> {
  const opened = await peer.ask(types.OPENDIR, string(path));
  assert.equal(opened.type, types.HANDLE);
  const handle = string(takeString(opened.body));
  const found = new Map<string, string>();
  for (;;) {
    const { type, body } = await peer.ask(types.READDIR, handle);
    if (type === types.STATUS) {
      assert.equal(takeU32(body), codes.EOF);
      assert.equal(await peer.status(types.CLOSE, handle), codes.OK);
      return found;
    }
    for (let left = takeU32(body); left > 0; left -= 1) {
      const name = takeString(body).toString("latin1");
      found.set(name, takeString(body).toString("latin1"));
      takeAttrs(body);
    }
  }
}
