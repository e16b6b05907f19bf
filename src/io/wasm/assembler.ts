/**
 * Wasm: just enough of an assembler for one function in WebAssembly that works on one memory, for
 * what JavaScript cannot do fast (https://webassembly.github.io/spec/core/binary). It knows no
 * function.
 */

export type Code = readonly number[];

export const i32 = 0x7f;
export const i64 = 0x7e;
export const v128 = 0x7b;

const pageBytes = 64 * 1024;

/** As LEB128, without a sign, which all lengths and indices are. */
const unsigned = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...unsigned(n >>> 7)]);
/** As LEB128, with a sign, which all constants are. */
const signed = (n: number): number[] =>
  n >= -64 && n < 64 ? [n & 127] : [(n & 127) | 128, ...signed(n >> 7)];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const i32Const = (n: number): Code => [0x41, ...signed(n)];
export const i64Const = (n: number): Code => [0x42, ...signed(n)];

const operation =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
export const i32Add = operation(0x6a);
export const i32Sub = operation(0x6b);
export const i32Xor = operation(0x73);
export const i32Rotr = operation(0x78);
export const i32GreaterS = operation(0x4a);
export const i32GreaterEqualS = operation(0x4e);
export const i64Add = operation(0x7c);
export const i64Mul = operation(0x7e);
export const i64And = operation(0x83);
export const i64Or = operation(0x84);
export const i64Shl = operation(0x86);
export const i64ShrU = operation(0x88);
export const v128Xor = operation(0xfd, 0x51);
export const i64ExtendU = (a: Code): Code => [...a, 0xad];
export const i32x4Splat = (a: Code): Code => [...a, 0xfd, 0x11];

// An alignment of 0 is right everywhere, and costs nothing on processors of today.
const loading =
  (...opcode: number[]) =>
  (at: Code, offset = 0): Code => [...at, ...opcode, 0, ...unsigned(offset)];
const storing =
  (...opcode: number[]) =>
  (at: Code, value: Code, offset = 0): Code => [...at, ...value, ...opcode, 0, ...unsigned(offset)];
export const i32Load8U = loading(0x2d);
export const i64Load = loading(0x29);
export const v128Load = loading(0xfd, 0x00);
export const i32Store8 = storing(0x3a);
export const i64Store = storing(0x37);
export const v128Store = storing(0xfd, 0x0b);

/** Does `body` again and again, and goes on when `isOver` holds before it. */
export const until = (isOver: Code, body: Code): Code => {
  const nothing = 0x40;
  const end = 0x0b;
  // A block around a loop: a branch to 1 leaves the block, one to 0 begins the loop again.
  return [0x02, nothing, 0x03, nothing, ...isOver, 0x0d, 1, ...body, 0x0c, 0, end, end];
};

const section = (id: number, bytes: Code): Code => [id, ...unsigned(bytes.length), ...bytes];
const name = (text: string): Code => [text.length, ...Buffer.from(text)];

/**
 * A function of so many numbers of 32 bits that returns nothing, with its further locals, and the
 * memory of at least `bytes` that it works on, which never moves.
 */
export function instantiate(
  params: number,
  locals: readonly number[],
  body: Code,
  bytes: number,
): { memory: ArrayBuffer; run: (...args: number[]) => void } {
  const pages = unsigned(Math.ceil(bytes / pageBytes));
  const types = [0x60, params, ...new Array<number>(params).fill(i32), 0];
  const code = [...unsigned(locals.length), ...locals.flatMap((type) => [1, type]), ...body, 0x0b];
  const module = Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // magic, version
    ...section(1, [1, ...types]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, ...pages, ...pages]), // as large as it ever gets
    ...section(7, [2, ...name("memory"), 2, 0, ...name("run"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(module));
  const { memory, run } = exports as {
    memory: WebAssembly.Memory;
    run: (...args: number[]) => void;
  };
  return { memory: memory.buffer as ArrayBuffer, run };
}
