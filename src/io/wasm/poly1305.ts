/**
 * Poly1305: the message authentication of RFC 8439 2.5, in WebAssembly, half as fast again as the
 * one that ssh2 has. OpenSSL's is faster still, but Node gives it only inside of a cipher that ssh
 * does not use. It knows no packets.
 *
 * Numbers modulo 2^130 - 5 are five limbs of 26 bits, of 64 bits each in memory: what their products
 * add up to fits.
 */
import * as w from "./assembler.ts";

const limbs = [0, 1, 2, 3, 4] as const;
/** Where the accumulator, the key's limbs and the message lie. */
const [sumAt, keyAt, messageAt] = [0, 40, 128] as const;
const blockBytes = 16;
const pieceBytes = 32 * 1024;
const messageMost = pieceBytes + blockBytes;

// Parameters: a piece from `at` to `end`, and the bit that follows each of its blocks, in the last limb.
const [at, end, high] = [0, 1, 2] as const;
const local = (first: number) => limbs.map((n) => first + n);
const [h, r, r5, d] = [local(3), local(8), local(13), local(18)] as [
  number[],
  number[],
  number[],
  number[],
];
const [low64, high64] = [23, 24] as const;

const each = (code: (n: number) => w.Code): w.Code => limbs.flatMap((n) => [...code(n)]);
const of = (list: readonly number[], n: number): w.Code => w.get(list[n] ?? 0);
const to = (list: readonly number[], n: number, value: w.Code): w.Code =>
  w.set(list[n] ?? 0, value);
const masked = (value: w.Code): w.Code => w.i64And(value, w.i64Const(0x3ffffff));
const down = (value: w.Code, bits: number): w.Code => w.i64ShrU(value, w.i64Const(bits));
const add = (n: number, value: w.Code): w.Code => to(h, n, w.i64Add(of(h, n), value));
const carried = (n: number): w.Code => w.i64Add(of(d, n), down(of(d, n - 1), 26));

/** One limb of `h * r`: what would lie beyond the fifth comes back five times. */
const product = (n: number): w.Code =>
  limbs
    .map((i) => w.i64Mul(of(h, i), i <= n ? of(r, n - i) : of(r5, n - i + 5)))
    .reduce((sum, term) => w.i64Add(sum, term));

const body = [
  ...each((n) => to(h, n, w.i64Load(w.i32Const(0), sumAt + 8 * n))),
  ...each((n) => to(r, n, w.i64Load(w.i32Const(0), keyAt + 8 * n))),
  ...each((n) => to(r5, n, w.i64Mul(of(r, n), w.i64Const(5)))),
  ...w.until(w.i32GreaterEqualS(w.get(at), w.get(end)), [
    ...w.set(low64, w.i64Load(w.get(at))),
    ...w.set(high64, w.i64Load(w.get(at), 8)),
    ...add(0, masked(w.get(low64))),
    ...add(1, masked(down(w.get(low64), 26))),
    ...add(2, masked(w.i64Or(down(w.get(low64), 52), w.i64Shl(w.get(high64), w.i64Const(12))))),
    ...add(3, masked(down(w.get(high64), 14))),
    ...add(4, w.i64Or(down(w.get(high64), 40), w.i64ExtendU(w.get(high)))),
    ...each((n) => to(d, n, product(n))),
    ...to(h, 0, masked(of(d, 0))),
    ...[1, 2, 3, 4].flatMap((n) => [...to(d, n, carried(n)), ...to(h, n, masked(of(d, n)))]),
    ...add(0, w.i64Mul(down(of(d, 4), 26), w.i64Const(5))),
    ...add(1, down(of(h, 0), 26)),
    ...to(h, 0, masked(of(h, 0))),
    ...w.set(at, w.i32Add(w.get(at), w.i32Const(blockBytes))),
  ]),
  ...each((n) => w.i64Store(w.i32Const(0), of(h, n), sumAt + 8 * n)),
];

const { memory, run } = w.instantiate(
  3,
  new Array<number>(22).fill(w.i64),
  body,
  messageAt + messageMost,
);
const bytes = new Uint8Array(memory);
const words = new Uint32Array(memory);
const wordAt = (byte: number): number => words[byte >> 2] ?? 0;

/** A block is followed by a one: the 129th bit where it is whole. */
const whole = 1 << 24;

/**
 * Writes the 16 bytes of authentication of `head` (at most 16 bytes) and `data` behind it to
 * `result`. `key` has 32 bytes, and must never be used for two messages.
 */
export function authenticate(
  result: Uint8Array,
  head: Uint8Array,
  data: Uint8Array,
  key: Buffer,
): void {
  const [k0, k1, k2, k3] = [0, 4, 8, 12].map((n) => key.readUInt32LE(n)) as [
    number,
    number,
    number,
    number,
  ];
  words.fill(0, 0, messageAt >> 2);
  // RFC 8439 2.5.1: some bits of the key are not used.
  words[keyAt >> 2] = k0 & 0x3ffffff;
  words[(keyAt >> 2) + 2] = ((k0 >>> 26) | (k1 << 6)) & 0x3ffff03;
  words[(keyAt >> 2) + 4] = ((k1 >>> 20) | (k2 << 12)) & 0x3ffc0ff;
  words[(keyAt >> 2) + 6] = ((k2 >>> 14) | (k3 << 18)) & 0x3f03fff;
  words[(keyAt >> 2) + 8] = (k3 >>> 8) & 0x00fffff;

  bytes.set(head, messageAt);
  let filled = head.length;
  let taken = 0;
  do {
    const here = Math.min(pieceBytes - filled, data.length - taken);
    const isAll = taken === 0 && here === data.length;
    bytes.set(isAll ? data : data.subarray(taken, taken + here), messageAt + filled);
    taken += here;
    filled += here;
    const rest = taken === data.length ? filled % blockBytes : 0;
    const end = messageAt + filled - rest;
    run(messageAt, end, whole);
    if (rest > 0) {
      bytes[end + rest] = 1;
      bytes.fill(0, end + rest + 1, end + blockBytes);
      run(end, end + blockBytes, 0);
    }
    filled = 0;
  } while (taken < data.length);
  conclude(result, key);
}

/** Adds the key's second half to the sum, reduced once and for all, modulo 2^128. */
function conclude(result: Uint8Array, key: Buffer): void {
  const mask = 0x3ffffff;
  const sum = limbs.map((n) => wordAt(sumAt + 8 * n)) as [number, number, number, number, number];
  const carry = (list: number[]): void => {
    for (const n of [0, 1, 2, 3]) {
      list[n + 1] = (list[n + 1] ?? 0) + ((list[n] ?? 0) >>> 26);
      list[n] = (list[n] ?? 0) & mask;
    }
  };
  carry(sum);
  sum[0] += (sum[4] >>> 26) * 5;
  sum[4] &= mask;
  carry(sum);
  // Less 2^130 - 5, taken where that is not negative; without a branch, for it is secret.
  const less = [sum[0] + 5, sum[1], sum[2], sum[3], sum[4]];
  carry(less);
  const isLess = -(((less[4] ?? 0) >>> 26) & 1);
  less[4] = (less[4] ?? 0) & mask;
  const [h0, h1, h2, h3, h4] = sum.map(
    (limb, n) => (limb & ~isLess) | ((less[n] ?? 0) & isLess),
  ) as [number, number, number, number, number];
  const parts = [
    h0 | (h1 << 26),
    (h1 >>> 6) | (h2 << 20),
    (h2 >>> 12) | (h3 << 14),
    (h3 >>> 18) | (h4 << 8),
  ];
  let over = 0;
  for (const [n, part] of parts.entries()) {
    over += (part >>> 0) + key.readUInt32LE(16 + 4 * n);
    for (const byte of [0, 1, 2, 3]) result[4 * n + byte] = (over >>> (8 * byte)) & 255;
    over = over > 0xffffffff ? 1 : 0;
  }
}
