/**
 * Unmask: RFC 6455 5.3, sixteen bytes at a time, which JavaScript cannot, in a memory of its own.
 */
import * as w from "./assembler.ts";

/** Takes a mask off the bytes of the memory from `at` to `end`; `key` is little-endian. */
type Unmask = (at: number, end: number, key: number) => void;

const [at, end, key, keys, last] = [0, 1, 2, 3, 4] as const;
const forward = (bytes: number): w.Code => w.set(at, w.i32Add(w.get(at), w.i32Const(bytes)));

const body = [
  ...w.set(keys, w.i32x4Splat(w.get(key))),
  ...w.set(last, w.i32Sub(w.get(end), w.i32Const(16))),
  ...w.until(w.i32GreaterS(w.get(at), w.get(last)), [
    ...w.v128Store(w.get(at), w.v128Xor(w.v128Load(w.get(at)), w.get(keys))),
    ...forward(16),
  ]),
  ...w.until(w.i32GreaterEqualS(w.get(at), w.get(end)), [
    ...w.i32Store8(w.get(at), w.i32Xor(w.i32Load8U(w.get(at)), w.get(key))),
    ...w.set(key, w.i32Rotr(w.get(key), w.i32Const(8))),
    ...forward(1),
  ]),
];

/** Memory of so many bytes, which never moves, and the function that works on it. */
export function openUnmasking(bytes: number): { memory: ArrayBuffer; unmask: Unmask } {
  const { memory, run } = w.instantiate(3, [w.v128, w.i32], body, bytes);
  return { memory, unmask: run };
}
