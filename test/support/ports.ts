/** Ports: tcp servers of a test, free ports, and what comes back from one. */
import { connect, createServer, type Server, type Socket } from "node:net";

/** A tcp server of a test, on a free port or a unix path; closes with all its connections. */
export async function listen(
  serve: (socket: Socket) => void,
  path?: string,
): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((done) => {
    if (path) server.listen(path, done);
    else server.listen(0, "127.0.0.1", done);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** A port that nobody listens on, until somebody does. */
export async function freePort(): Promise<number> {
  const server = await listen(() => {});
  await server.close();
  return server.port;
}

/** Sends all of `bytes`, half-closes, and resolves with what comes back until the other side ends. */
export function exchange(to: number | string, bytes: Buffer | string): Promise<Buffer> {
  return new Promise((done, fail) => {
    const where = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to };
    const socket = connect({ ...where, allowHalfOpen: true });
    const back: Buffer[] = [];
    socket.on("error", fail);
    socket.on("data", (data: Buffer) => back.push(data));
    socket.once("end", () => {
      done(Buffer.concat(back));
      socket.destroy();
    });
    socket.once("connect", () => socket.end(bytes));
  });
}

/** Whether something takes connections there. */
export function isListening(to: number | string): Promise<boolean> {
  return new Promise((done) => {
    const where = typeof to === "number" ? { port: to, host: "127.0.0.1" } : { path: to };
    const socket = connect(where);
    const say = (answer: boolean): void => {
      socket.destroy();
      done(answer);
    };
    socket.once("connect", () => say(true));
    socket.once("error", () => say(false));
  });
}
