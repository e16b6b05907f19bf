/**
 * Alone: the agent's ssh server on a plain TCP port, without relay, wsproxy and websockets, so that
 * it can be measured beside sshd. Started by peers.ts with a file of public keys; says its port.
 */
import { EventEmitter } from "node:events";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { Meter } from "../src/actors/activity.ts";
import { freeInPlace } from "../src/io/agent/collector.ts";
import { openKeyring } from "../src/io/agent/keys/keyring.ts";
import { findShell } from "../src/io/agent/shell/shells.ts";
import { openSshServer } from "../src/io/agent/ssh/server.ts";
import { systemClock } from "../src/io/clock.ts";
import { openLog } from "../src/io/log.ts";
import { useFastPoly1305 } from "../src/io/ssh2/gaps.ts";
import { openHostKey } from "../src/io/ssh2/host-key.ts";
import type { DataLink } from "../src/io/websocket/link.ts";
import { inTurns, readSocketInPlace } from "../src/io/websocket/link-stream.ts";
import type { Ticket } from "../src/machines/vocabulary.ts";

freeInPlace();
const [keysFile = ""] = process.argv.slice(2);
const keyring = openKeyring({ file: keysFile, urls: [] }, systemClock, () => {});
await keyring.ready;
await useFastPoly1305();
const server = openSshServer(
  {
    hostKey: openHostKey(null),
    shell: findShell({ first: [], env: process.env }),
    agentdir: dirname(keysFile),
    job: { ...process.env, SHLVL: "3" }, // as for sshd, see peers.ts
    marker: "alone",
    allowed: {
      shell: true,
      exec: true,
      sftp: true,
      readOnly: false,
      portForwarding: true,
      agentForwarding: true,
    },
    extraKex: [],
    rendezvous: () => "alone",
    welcome: () => "",
  },
  keyring,
  new Meter(),
  systemClock,
  openLog("agent", "error"),
);

/** A socket as if it were a link, as far as the ssh server asks. */
function linkOf(socket: Socket): DataLink {
  const link = Object.assign(new EventEmitter(), {
    readyState: 1,
    OPEN: 1,
    CLOSED: 3,
    isPaused: false,
    bufferedAmount: 0,
    bytesRead: 0,
    send: () => {},
    close: () => socket.end(),
    terminate: () => socket.destroy(),
    pause: () => {},
    resume: () => {},
    pong: () => {},
  });
  socket.on("data", (data) => link.emit("message", data, true));
  socket.on("close", () => link.emit("close"));
  return link;
}

const listener = createServer({ noDelay: true }, (socket) => {
  // Whoever accepts names the other side, which a plain socket does not let them.
  for (const name of ["remoteAddress", "remotePort"])
    Object.defineProperty(socket, name, { value: null, writable: true });
  server.accept({
    link: linkOf(socket),
    stream: inTurns(socket),
    readInPlace: () => readSocketInPlace(socket),
    ticket: "alone" as Ticket,
    address: "127.0.0.1",
  });
}).listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify(listener.address())}\n`);
});
