/**
 * Host key pin: reads the server's half of an ssh key exchange as it flows past, and lets it through
 * only once the host key has the expected fingerprint.
 *
 * Everything up to NEWKEYS is in clear text (RFC 4253 7), so the key is seen before anybody
 * authenticates. Knows no sockets and checks no signature: ssh itself does, with the key seen here.
 * Its law: whatever ssh and this file could read differently is refused, not guessed at.
 */
import { createHash } from "node:crypto";

/** `refused` is a full sentence, with the fingerprint that was seen where one was. */
export type Verdict = "pending" | "matched" | { readonly refused: string };

/** One connection's guard. */
export interface HostKeyPin {
  /**
   * Takes bytes from the server; returns those that may now go to the client, in order, perhaps
   * none, perhaps some that came earlier. After a match every chunk comes back as it is; after a
   * refusal, or after the server said goodbye, nothing does.
   */
  pass(chunk: Buffer): Buffer[];
  readonly verdict: Verdict;
}

/** All that may be handed on before the verdict. */
const mostBytes = 256 * 1024;
/** Identification and what may stand before it (RFC 4253 4.2 bounds only the former). */
const mostPreamble = 8 * 1024;
/** RFC 4253 4.2: an identification line, its end included. */
const longestIdentification = 255;
/** RFC 4253 6.1: a whole packet, its length field included. */
const longestPacket = 35_000;

const message = {
  disconnect: 1,
  ignore: 2,
  unimplemented: 3,
  debug: 4,
  kexInit: 20,
  newKeys: 21,
  kexReply: 31,
} as const;

/**
 * Key exchanges in which message 31 is the server's reply and begins with the host key: RFC 4253 8,
 * RFC 8268, RFC 5656 4, RFC 8731, draft-ietf-sshm-ntruprime-ssh, draft-ietf-sshm-mlkem-hybrid-kex.
 * In a group exchange (RFC 4419) 31 carries numbers of the server's choice, which could be the
 * expected key's bytes, so that one must never be added here.
 */
export const checkable: ReadonlySet<string> = new Set([
  "curve25519-sha256",
  "curve25519-sha256@libssh.org",
  "ecdh-sha2-nistp256",
  "ecdh-sha2-nistp384",
  "ecdh-sha2-nistp521",
  "diffie-hellman-group14-sha1",
  "diffie-hellman-group14-sha256",
  "diffie-hellman-group15-sha512",
  "diffie-hellman-group16-sha512",
  "diffie-hellman-group17-sha512",
  "diffie-hellman-group18-sha512",
  "sntrup761x25519-sha512",
  "sntrup761x25519-sha512@openssh.com",
  "mlkem768x25519-sha256",
  "mlkem768nistp256-sha256",
  "mlkem1024nistp384-sha384",
]);
const strictKex = "kex-strict-s-v00@openssh.com";
/** Names that are no exchange but a sign: RFC 8308 2.1, OpenSSH's PROTOCOL 1.10. */
const signs = new Set(["ext-info-s", strictKex]);

/** What one step found at the front of the held bytes: how much to hand on, what to wait for, or the end. */
type Step =
  | { kind: "wait"; until: number }
  | { kind: "pass"; bytes: number }
  | { kind: "goodbye"; bytes: number }
  | { kind: "matched" }
  | { kind: "refused"; because: string };

/** Guards one connection; `fingerprint` must satisfy `isFingerprint`, else no key ever matches. */
export function pinHostKey(fingerprint: string): HostKeyPin {
  let verdict: Verdict = "pending";
  let isOver = false;
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wanted = 1;
  let passed = 0;
  let step: (bytes: Buffer) => Step = identification;
  let preamble = 0;
  let isStrict = false;

  function identification(bytes: Buffer): Step {
    const end = bytes.indexOf(0x0a);
    const size = end < 0 ? bytes.length : end + 1;
    if (preamble + size > mostPreamble) return refuse("It sent no ssh identification.");
    if (end < 0) return { kind: "wait", until: bytes.length + 1 };
    const line = bytes.toString("latin1", 0, end).replace(/\r$/, "");
    // ssh ends a line at \n only, other clients at \r too; without \r and NUL all agree.
    if (/[\r\0]/.test(line)) return refuse("Its first lines are not those of an ssh server.");
    preamble += size;
    if (line.startsWith("SSH-")) {
      if (size > longestIdentification || !/^SSH-(?:2\.0|1\.99)-[\x20-\x7e]+$/.test(line)) {
        return refuse("Its ssh identification is malformed.");
      }
      step = packet(kexInit);
    }
    return { kind: "pass", bytes: size };
  }

  /** RFC 4253 6: uint32 packet_length, byte padding_length, payload, padding; no MAC before NEWKEYS. */
  function packet(read: (payload: Buffer, size: number) => Step): (bytes: Buffer) => Step {
    return (bytes) => {
      if (bytes.length < 4) return { kind: "wait", until: 4 };
      const size = 4 + bytes.readUInt32BE(0);
      if (size > longestPacket) return refuse(`It sent a packet of ${size} bytes.`);
      if (size < 16 || size % 8 !== 0) return refuse("It sent a malformed packet.");
      if (bytes.length < size) return { kind: "wait", until: size };
      const payload = bytes.subarray(5, size - bytes.readUInt8(4));
      if (bytes.readUInt8(4) < 4 || payload.length === 0) {
        return refuse("It sent a malformed packet.");
      }
      return payload[0] === message.disconnect
        ? { kind: "goodbye", bytes: size }
        : read(payload, size);
    };
  }

  function kexInit(payload: Buffer, size: number): Step {
    if (payload[0] !== message.kexInit) return refuse("Its first packet is no key exchange offer.");
    const offer = readOffer(payload);
    if (offer === null) return refuse("Its key exchange offer is malformed.");
    // RFC 4253 7: ssh ignores the next packet after a wrong guess, so the 31 seen here may not count.
    if (offer.guesses) return refuse("It guesses a key exchange, which cannot be checked.");
    const odd = offer.kex.find((name) => !checkable.has(name) && !signs.has(name));
    if (odd !== undefined) {
      return refuse(`It offers the key exchange "${clean(odd)}", which cannot be checked.`);
    }
    isStrict = offer.kex.includes(strictKex);
    step = packet(kexReply);
    return { kind: "pass", bytes: size };
  }

  function kexReply(payload: Buffer, size: number): Step {
    switch (payload[0]) {
      case message.ignore:
      case message.unimplemented:
      case message.debug:
        if (isStrict) return refuse("It sent a packet that strict key exchange forbids.");
        return { kind: "pass", bytes: size };
      case message.kexReply: {
        const key = stringAt(payload, 1);
        if (key === null) return refuse("Its key exchange reply is malformed.");
        const shown = `SHA256:${createHash("sha256").update(key).digest("base64").slice(0, 43)}`;
        if (shown === fingerprint) return { kind: "matched" };
        return {
          kind: "refused",
          because: `The server's host key is ${shown}, but ${fingerprint} was expected.`,
        };
      }
      case message.newKeys:
        return refuse("It went on without showing a host key.");
      default:
        return refuse(`It sent message ${payload[0]} in the middle of the key exchange.`);
    }
  }

  function take(chunk: Buffer): Buffer[] {
    held.push(chunk);
    heldBytes += chunk.length;
    const out: Buffer[] = [];
    while (heldBytes >= wanted) {
      const bytes = held.length === 1 && held[0] ? held[0] : Buffer.concat(held);
      const found = step(bytes);
      held = [bytes];
      switch (found.kind) {
        case "wait":
          wanted = found.until;
          continue;
        case "pass":
          passed += found.bytes;
          if (passed <= mostBytes) {
            out.push(bytes.subarray(0, found.bytes));
            keep(bytes.subarray(found.bytes));
            continue;
          }
          verdict = { refused: refuse(`It sent ${passed} bytes and no host key.`).because };
          break;
        case "goodbye":
          out.push(bytes.subarray(0, found.bytes));
          isOver = true;
          break;
        case "matched":
          verdict = "matched";
          out.push(bytes);
          break;
        case "refused":
          verdict = { refused: found.because };
          break;
      }
      keep(Buffer.alloc(0));
      return out;
    }
    return out;
  }

  function keep(rest: Buffer): void {
    held = rest.length > 0 ? [rest] : [];
    heldBytes = rest.length;
    wanted = 1;
  }

  return {
    pass: (chunk) => {
      if (verdict === "matched") return [chunk];
      return verdict === "pending" && !isOver ? take(chunk) : [];
    },
    get verdict() {
      return verdict;
    },
  };
}

function refuse(what: string): { kind: "refused"; because: string } {
  return { kind: "refused", because: `The server's host key could not be checked: ${what}` };
}

/** RFC 4253 7.1; null unless the payload is exactly that. */
function readOffer(payload: Buffer): { kex: string[]; guesses: boolean } | null {
  const nameLists = 10;
  let at = 1 + 16;
  const lists: Buffer[] = [];
  while (lists.length < nameLists) {
    const list = stringAt(payload, at);
    if (list === null) return null;
    lists.push(list);
    at += 4 + list.length;
  }
  const kex = lists[0]?.toString("latin1").split(",") ?? [];
  return payload.length === at + 1 + 4 ? { kex, guesses: payload[at] !== 0 } : null;
}

/** An RFC 4251 5 string that lies wholly within the payload. */
function stringAt(payload: Buffer, at: number): Buffer | null {
  if (payload.length < at + 4) return null;
  const end = at + 4 + payload.readUInt32BE(at);
  return end <= payload.length ? payload.subarray(at + 4, end) : null;
}

function clean(name: string): string {
  return name.replace(/[^\x21-\x7e]/g, "?").slice(0, 60);
}
