/**
 * Broken speech: ssh payloads (RFC 4252, 4253, 4254, and sftp version 3) as a client sends them, and
 * then cut, doubled, out of order, or with other numbers in them. It knows no connection; the same
 * random gives the same payloads.
 *
 * The agent under test is a real one, with a real shell: no path here has a slash, and no byte is put
 * in that a shell or a path gives a meaning to.
 */
import type { Random } from "./random.ts";
import { u32 } from "./raw-client.ts";
import { string } from "./raw-ssh.ts";

type Field = number | string | Buffer;

const edges = [0, 1, 4, 255, 1023, 1024, 32_768, 65_535, 65_536, 1 << 21, 2 ** 31, 2 ** 32 - 1];
const bytes = [0, 1, 2, 4, 16, 65, 127, 128, 254, 255];
const names = ["f1", "f2", "d1", "link", "nowhere", "f1"];
const commands = ["true", "cat", "sleep 3", "yes", "yes | head -n 50000", "echo a; exit 7", ""];
const typed = ["echo a\n", "stty -echo\n", "exit\n", "\x03", "\x04", "\x1a", "cat\n", "x\t", "\r"];

const payload = (message: number, ...fields: Field[]): Buffer =>
  Buffer.concat([
    Buffer.of(message),
    ...fields.map((field) =>
      typeof field === "number" ? u32(field) : typeof field === "string" ? string(field) : field,
    ),
  ]);
const yes = Buffer.of(1);
const either = (random: Random): Buffer => Buffer.of(random.below(2));

/** Bytes that mean nothing, up to so many. */
export const noise = (random: Random, most: number): Buffer =>
  Buffer.from(Array.from({ length: random.below(most) }, () => random.pick(bytes)));

/** Mostly what is meant, at times another one's, at times a number that has an edge. */
const near = (random: Random, meant: number): number =>
  random.isSo(0.8) ? meant : random.isSo(0.5) ? random.below(6) : random.pick(edges);

/** A packet of sftp, draft-ietf-secsh-filexfer-02; handles are as the agent may have given them. */
function sftpPacket(random: Random): Buffer {
  const [name, other] = [random.pick(names), random.pick(names)];
  const handle = random.isSo(0.7) ? u32(random.below(4)) : noise(random, 12);
  const [high, low] = [random.isSo(0.9) ? 0 : random.pick(edges), random.pick(edges)];
  const attributes = random.pick<Field[]>([[0], [4, 0o700], [8, 1, 1], [1, 0, 9], [15, 0, 0, 0]]);
  const id = random.below(5);
  const body = random.pick<() => Buffer>([
    () => payload(1, random.pick([3, 6, 0])),
    () => payload(3, id, name, random.pick([1, 2, 26, 58, 63]), ...attributes),
    () => payload(4, id, string(handle)),
    () => payload(5, id, string(handle), high, low, random.pick(edges)),
    () => payload(6, id, string(handle), high, low, string(noise(random, 2_000))),
    () => payload(random.pick([7, 17]), id, name),
    () => payload(8, id, string(handle)),
    () => payload(9, id, name, ...attributes),
    () => payload(10, id, string(handle), ...attributes),
    () => payload(11, id, random.pick(["", name])),
    () => payload(12, id, string(handle)),
    () => payload(random.pick([13, 15, 16, 19]), id, name),
    () => payload(14, id, name, ...attributes),
    () => payload(random.pick([18, 20]), id, name, other),
    () => payload(200, id, "posix-rename@openssh.com", name, other),
    () => payload(200, id, "fsync@openssh.com", string(handle)),
    () => payload(200, id, "limits@openssh.com"),
    () => payload(random.below(256), id, noise(random, 40)),
  ])();
  return Buffer.concat([u32(near(random, body.length)), broken(random, body, 0.2)]);
}

const open = (random: Random, type: string, own: number, ...more: Field[]): Buffer =>
  payload(90, type, near(random, own), near(random, 1 << 21), near(random, 1 << 15), ...more);
const request = (random: Random, channel: number, type: string, ...more: Field[]): Buffer =>
  payload(98, near(random, channel), type, either(random), ...more);
const data = (random: Random, channel: number, what: Buffer | string): Buffer =>
  payload(94, near(random, channel), string(what));
const many = (random: Random, most: number, make: () => Buffer): Buffer[] =>
  Array.from({ length: random.below(most) }, make);

/** What may be done with one channel, from its opening on. `echoPort` is a server that sends back. */
const plots: readonly ((random: Random, channel: number, echoPort: number) => Buffer[])[] = [
  (random, n) => [
    open(random, "session", n),
    request(random, n, "env", "LANG", "C"),
    request(random, n, "pty-req", "xterm", 80, near(random, 24), 0, 0, string(noise(random, 20))),
    request(random, n, "shell"),
    ...many(random, 20, () => data(random, n, random.pick(typed))),
    request(random, n, "window-change", random.pick(edges), random.pick(edges), 0, 0),
    payload(96, n),
  ],
  (random, n) => [
    open(random, "session", n),
    request(random, n, "exec", random.pick(commands)),
    ...many(random, 10, () => data(random, n, noise(random, 30_000))),
    payload(95, n, random.pick(edges), string(noise(random, 30))),
    ...many(random, 5, () => payload(93, n, random.pick(edges))),
    request(random, n, "signal", random.pick(["INT", "TERM", "KILL", "HUP", "x"])),
    payload(random.pick([96, 97]), n),
  ],
  (random, n) => [
    open(random, "session", n),
    request(random, n, "subsystem", "sftp"),
    data(random, n, Buffer.concat([u32(5), payload(1, 3)])),
    ...many(random, 40, () => data(random, n, sftpPacket(random))),
    payload(random.pick([96, 97]), n),
  ],
  (random, n, echoPort) => [
    open(random, "direct-tcpip", n, "127.0.0.1", random.pick([echoPort, 1]), "127.0.0.1", 9),
    ...many(random, 10, () => data(random, n, noise(random, 30_000))),
    payload(random.pick([93, 96, 97]), n, 1 << 20),
  ],
  (random, n) => [
    open(random, "direct-streamlocal@openssh.com", n, random.pick(names), "", 0),
    ...many(random, 5, () => data(random, n, "x")),
  ],
  (random) => [
    payload(80, "tcpip-forward", yes, "localhost", 0),
    payload(80, "streamlocal-forward@openssh.com", yes, random.pick(names)),
    payload(80, random.pick(["cancel-tcpip-forward", "tcpip-forward"]), yes, "localhost", 0),
    payload(80, "cancel-streamlocal-forward@openssh.com", yes, random.pick(names)),
  ],
  (random, n) => [
    open(random, "session", n),
    request(random, n, "auth-agent-req@openssh.com"),
    request(random, n, "x11-req", yes, "MIT-MAGIC-COOKIE-1", "00", 0),
    request(random, n, "exec", "sleep 3"),
    payload(91, near(random, n), random.pick(edges), random.pick(edges), random.pick(edges)),
    payload(92, near(random, n), 1, "no", ""),
  ],
  (random, n) => [
    payload(80, "keepalive@openssh.com", yes),
    payload(
      80,
      random.pick(["hostkeys-prove-00@openssh.com", "no-more-sessions@openssh.com"]),
      yes,
    ),
    payload(random.pick([2, 3, 4, 192, 193]), string(noise(random, 60))),
    payload(random.pick([99, 100, 81, 82]), n),
    open(random, random.pick(["forwarded-tcpip", "x11", "tun@openssh.com", ""]), n, "a", 1, "b", 2),
  ],
  // In the middle of it all: a key exchange that leads nowhere, a login, an end.
  (random, n) => [
    payload(random.pick([20, 21, 30, 31, 34, 7]), noise(random, 80)),
    payload(random.pick([5, 6, 50, 51, 52, 60, 61]), "ssh-userauth", "ssh-connection", "none"),
    payload(random.pick([1, 96, 97, 98]), n, "x", ""),
    payload(random.below(256), noise(random, 60)),
  ],
];

/** What a client may say that is logged in: some plots, a message of each in turn. */
export function sessionSpeech(random: Random, echoPort: number): Buffer[] {
  const told = Array.from({ length: 1 + random.below(4) }, (_, n) =>
    random.pick(plots.slice(0, random.isSo(0.7) ? -1 : undefined))(random, n, echoPort),
  );
  const speech: Buffer[] = [];
  while (told.some((rest) => rest.length > 0)) speech.push(...random.pick(told).splice(0, 1));
  return speech;
}

/** What a client may say that has keys for the connection, and no right to anything yet. */
export function loginSpeech(random: Random): Buffer[] {
  const ask = (...more: Field[]): Buffer => payload(50, "x", "ssh-connection", ...more);
  const key = Buffer.concat([string("ssh-ed25519"), string(noise(random, 64))]);
  const one = (): Buffer =>
    random.pick<() => Buffer>([
      () => payload(5, random.pick(["ssh-userauth", "ssh-connection", ""])),
      () => ask("none"),
      () => ask("publickey", either(random), "ssh-ed25519", string(key), string(noise(random, 90))),
      () => ask("password", either(random), "secret", "other"),
      () => ask("keyboard-interactive", "", ""),
      () => ask("hostbased", "ssh-ed25519", string(key), "host", "user", string(noise(random, 90))),
      () => payload(random.pick([60, 61]), random.pick(edges), "a"),
      () => payload(random.pick([20, 21, 30, 1, 2, 3, 4, 7, 192]), noise(random, 90)),
      ...plots.map((plot) => () => plot(random, 0, 1)[0] ?? Buffer.of(2)),
      () => payload(random.below(256), noise(random, 60)),
    ])();
  return Array.from({ length: 1 + random.below(12) }, one);
}

/** One message with its end cut off, something behind it, or other bytes or numbers in it. */
function broken(random: Random, message: Buffer, probability: number): Buffer {
  if (!random.isSo(probability)) return message;
  const other = Buffer.from(message);
  switch (random.below(4)) {
    case 0:
      return other.subarray(0, 1 + random.below(other.length));
    case 1:
      return Buffer.concat([other, noise(random, 40)]);
    case 2:
      for (let n = random.below(4); n >= 0; n -= 1)
        other[random.below(other.length)] = random.pick(bytes);
      return other;
    default:
      if (other.length >= 5)
        other.writeUInt32BE(random.pick(edges), 1 + random.below(other.length - 4));
      return other;
  }
}

/** A speech with messages left out, doubled, out of order and broken; about one in `every`. */
export function brokenSpeech(random: Random, speech: readonly Buffer[], every = 6): Buffer[] {
  const said: Buffer[] = [];
  for (const message of speech) {
    if (random.isSo(1 / every / 2)) continue;
    said.push(broken(random, message, 1 / every));
    if (random.isSo(1 / every / 2)) said.push(message);
  }
  for (let n = 1; n < said.length; n += 1)
    if (random.isSo(1 / every / 2)) said.push(...said.splice(random.below(n), 1));
  return said;
}
