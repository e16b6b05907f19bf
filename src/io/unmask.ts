/**
 * Unmask: RFC 6455 5.3, sixteen bytes at a time, which JavaScript cannot. A WebAssembly module of one
 * function, written out below (https://webassembly.github.io/spec/core/binary), and its memory.
 */

/** Takes a mask off the bytes of the memory from `at` to `end`; `key` is little-endian. */
type Unmask = (at: number, end: number, key: number) => void;

const pageBytes = 64 * 1024;
const at = 0;
const end = 1;
const key = 2;
const keys = 3;
const last = 4;
const i32 = 0x7f;
const v128 = 0x7b;
const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const add = (local: number, n: number): number[] => [...get(local), 0x41, n, 0x6a, ...set(local)];
const none = 0x40;
const done = 0x0b;
const breakIf = (depth: number): number[] => [0x0d, depth];
const again = [0x0c, 0];

const body = [
  ...[2, 1, v128, 1, i32], // locals: keys, last
  ...[...get(key), 0xfd, 0x11, ...set(keys)], // i32x4.splat
  ...[...get(end), 0x41, 16, 0x6b, ...set(last)],
  ...[0x02, none, 0x03, none], // block, loop
  ...[...get(at), ...get(last), 0x4a, ...breakIf(1)], // at > last
  ...[...get(at), ...get(at), 0xfd, 0x00, 0, 0], // v128.load
  ...[...get(keys), 0xfd, 0x51, 0xfd, 0x0b, 0, 0], // v128.xor, v128.store
  ...[...add(at, 16), ...again, done, done],
  ...[0x02, none, 0x03, none],
  ...[...get(at), ...get(end), 0x4e, ...breakIf(1)], // at >= end
  ...[...get(at), ...get(at), 0x2d, 0, 0], // i32.load8_u
  ...[...get(key), 0x73, 0x3a, 0, 0], // i32.xor, i32.store8
  ...[...get(key), 0x41, 8, 0x78, ...set(key)], // i32.rotr
  ...[...add(at, 1), ...again, done, done],
  done,
];

/** As LEB128, which all lengths and sizes are. */
function number(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, ...number(n >> 7)];
}

const section = (id: number, bytes: number[]): number[] => [id, ...number(bytes.length), ...bytes];
const name = (text: string): number[] => [text.length, ...Buffer.from(text)];

/** Memory of so many bytes, which never moves, and the function that works on it. */
export function openUnmasking(bytes: number): { memory: ArrayBuffer; unmask: Unmask } {
  const pages = number(Math.ceil(bytes / pageBytes));
  const code = Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic, version
    ...section(1, [1, 0x60, 3, i32, i32, i32, 0]), // one type: three numbers in, nothing out
    ...section(3, [1, 0]), // one function of it
    ...section(5, [1, 1, ...pages, ...pages]), // one memory, as large as it ever gets
    ...section(7, [2, ...name("memory"), 2, 0, ...name("unmask"), 0, 0]), // exports
    ...section(10, [1, ...number(body.length), ...body]),
  ]);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
  const { memory, unmask } = exports as { memory: WebAssembly.Memory; unmask: Unmask };
  return { memory: memory.buffer as ArrayBuffer, unmask };
}
