/**
 * Pipes: real ones for a command's input, output and errors, where Linux needs them.
 *
 * Node gives a child socketpairs, and on Linux `/dev/stdin`, `/dev/stdout` and `/dev/stderr` cannot be
 * opened on those (ENXIO). It cannot make a pipe either, so a shell makes three, and they are opened
 * through /proc before it is ended again. Named ones (mkfifo) would not do: opening one waits for
 * its other end, so `sort /dev/stdin` would hang once the client has ended the input. It knows no
 * commands. Other systems duplicate the descriptor instead and need none of this.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, fstatSync, openSync, readlinkSync } from "node:fs";
import { Socket } from "node:net";

/** Three pipes, open at both ends. */
export interface Pipes {
  /** The command's ends, which block as a command expects, as `spawn` takes them. */
  readonly theirs: readonly [number, number, number];
  readonly stdin: Socket;
  readonly stdout: Socket;
  readonly stderr: Socket;
  /** Closes the command's ends here, once it has its own copies or will never be. */
  release(): void;
  /** Closes the ends on this side. */
  destroy(): void;
}

/** A shell, and a script by which it makes pipes 3, 4 and 5, enters /proc and waits. */
export interface Maker {
  readonly file: string;
  readonly script: string;
}

/** Where a shell goes to say that its pipes are ready: its folder is seen from outside. */
const readyFolder = "/proc";
const ready = `cd ${readyFolder} || exit\nread x\n`;

/**
 * Here-documents are pipes in dash, busybox and bash since 5.1, but files in older ones, which have
 * process substitution. An empty document would be the null device, hence the line, read again.
 */
export const makers: readonly Maker[] = [
  {
    file: "/bin/sh",
    script: `exec 3<<. 4<<. 5<<.\n\n.\n\n.\n\n.\nread x <&3; read x <&4; read x <&5\n${ready}`,
  },
  { file: "/bin/bash", script: `exec 3< <(:) 4< <(:) 5< <(:)\n${ready}` },
];

/** How often, and after what time, it is looked whether a shell is ready: for a second at least. */
const looks = { most: 10_000, everyMs: 0.1 } as const;

/** Three new pipes, which takes 2 to 3 ms; null where there are none to be had or none are needed. */
export function openPipes(ways: readonly Maker[] = makers): Pipes | null {
  if (process.platform !== "linux") return null;
  for (const way of ways) {
    const ends = made(way);
    if (ends) return wrapped(ends);
  }
  return null;
}

/** Six descriptors: the command's, then ours. */
type Ends = Readonly<Record<"theirs" | "ours", readonly [number, number, number]>>;

function wrapped({ theirs, ours: [input, output, errors] }: Ends): Pipes {
  const stdin = new Socket({ fd: input, readable: false, writable: true });
  const stdout = new Socket({ fd: output, readable: true, writable: false });
  const stderr = new Socket({ fd: errors, readable: true, writable: false });
  return {
    theirs,
    stdin,
    stdout,
    stderr,
    release: () => theirs.forEach(closeSync),
    destroy: () => {
      for (const socket of [stdin, stdout, stderr]) socket.destroy();
    },
  };
}

function made({ file, script }: Maker): Ends | null {
  let maker: ChildProcess | undefined;
  try {
    // In the /proc of other process numbers, as some containers have it, the shell would be another.
    if (readlinkSync("/proc/self") !== String(process.pid)) return null;
    // Its input ends with this process, and so does the shell, whatever happens. The environment is
    // empty, since that of a session may say what a shell is to run first.
    maker = spawn(file, ["-c", script], {
      cwd: "/",
      env: {},
      stdio: ["pipe", "ignore", "ignore"],
    });
    maker.on("error", () => undefined);
    return maker.pid !== undefined && isReady(maker.pid) ? opened(maker.pid) : null;
  } catch {
    return null; // no /proc, no process or no descriptors to be had, or the shell has ended
  } finally {
    maker?.kill("SIGKILL");
    maker?.stdin?.destroy();
  }
}

/** Waits for a shell without giving up the turn, since a command starts at once or not at all. */
function isReady(pid: number): boolean {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let look = 0; look < looks.most; look++) {
    if (readlinkSync(`/proc/${pid}/cwd`) === readyFolder) return true;
    Atomics.wait(never, 0, 0, looks.everyMs);
  }
  return false;
}

/** Both ends of the shell's pipes 3, 4 and 5; each has its own flags, so only ours do not block. */
function opened(pid: number): Ends {
  const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
  const fds: number[] = [];
  const open = (number: number, flags: number): number => {
    const fd = openSync(`/proc/${pid}/fd/${number}`, flags);
    fds.push(fd);
    if (!fstatSync(fd).isFIFO()) throw new Error("This shell makes no pipes.");
    return fd;
  };
  try {
    return {
      theirs: [open(3, O_RDONLY), open(4, O_WRONLY), open(5, O_WRONLY)],
      ours: [
        open(3, O_WRONLY | O_NONBLOCK),
        open(4, O_RDONLY | O_NONBLOCK),
        open(5, O_RDONLY | O_NONBLOCK),
      ],
    };
  } catch (thrown) {
    fds.forEach(closeSync);
    throw thrown;
  }
}
