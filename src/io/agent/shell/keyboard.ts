/**
 * Keyboard: what is typed into a terminal, written to its master. It knows no shell and no ssh.
 *
 * A terminal whose program does not read takes some 20 KB and no more. libuv writes to a master in
 * a busy loop then, which stops the whole program, and Node has nothing else that waits for such a
 * file. So it is written here: as much as it takes at once, and the rest when it is tried again.
 */
import { writeSync } from "node:fs";
import { Writable } from "node:stream";

/** How long until a full terminal is tried again: doubled from the first to the last, in ms. */
const waits = { firstMs: 1, lastMs: 128 } as const;

/** The end-of-file character; VEOF is nearly never changed. */
const endOfFile = 0x04;

export interface Keyboard {
  /**
   * Takes what is typed, 16 KiB ahead of the terminal. At the end the end-of-file character is typed,
   * twice in the middle of a line, since there the first one only hands the line over.
   */
  readonly stdin: Writable;
  /** To be called before the master is closed: nothing is written any more, and what comes is dropped. */
  close(): void;
}

/** The keyboard of an open master that does not block. */
export function keyboardOf(fd: number): Keyboard {
  let atLineStart = true;
  let isClosed = false;
  /** What is to be typed, and whom to tell; one write at a time. */
  let typing: { rest: Buffer; done: () => void } | null = null;
  let retry: NodeJS.Timeout | null = null;

  function over(): void {
    const done = typing?.done;
    typing = null;
    done?.();
  }

  function go(waitMs: number): void {
    retry = null;
    let nextMs = waitMs;
    while (typing !== null && typing.rest.length > 0) {
      const written = isClosed ? "gone" : taken(fd, typing.rest);
      if (written === "gone") break;
      if (written === 0) {
        retry = setTimeout(go, nextMs, Math.min(nextMs * 2, waits.lastMs));
        return;
      }
      typing.rest = typing.rest.subarray(written);
      nextMs = waits.firstMs;
    }
    over();
  }

  function type(rest: Buffer, done: () => void): void {
    typing = { rest, done };
    go(waits.firstMs);
  }

  return {
    stdin: new Writable({
      write(chunk: Buffer, _encoding, done) {
        // After a return, a line feed, ^C or ^D the line is empty.
        atLineStart = [0x0d, 0x0a, 0x03, endOfFile].includes(chunk.at(-1) ?? endOfFile);
        type(chunk, done);
      },
      final(done) {
        type(Buffer.from(atLineStart ? [endOfFile] : [endOfFile, endOfFile]), done);
      },
    }),
    close() {
      isClosed = true;
      if (retry !== null) clearTimeout(retry);
      retry = null;
      over();
    },
  };
}

/** How many of these bytes the terminal took; "gone" when nobody holds it any more. */
function taken(fd: number, bytes: Buffer): number | "gone" {
  try {
    return writeSync(fd, bytes);
  } catch (thrown) {
    const code = thrown instanceof Error && "code" in thrown ? thrown.code : null;
    return code === "EAGAIN" || code === "EINTR" ? 0 : "gone";
  }
}
