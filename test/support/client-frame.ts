/** Client frame: a websocket's frame made by hand, as any program might send it. */
import { randomBytes } from "node:crypto";

/** A client's frame, RFC 6455 5.2: first byte, payload, and a length that may be another one's. */
export function frame(first: number, payload: Buffer | string = "", said?: number): Buffer {
  const data = Buffer.from(payload);
  const length = said ?? data.length;
  const mask = randomBytes(4);
  const head =
    length > 65_535
      ? Buffer.from([first, 0xff, 0, 0, 0, 0, 0, 0, 0, 0])
      : length > 125
        ? Buffer.from([first, 0xfe, length >> 8, length & 255])
        : Buffer.from([first, 0x80 | length]);
  if (length > 65_535) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, mask, data.map((byte, n) => byte ^ (mask[n & 3] ?? 0))]);
}
