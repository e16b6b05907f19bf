/**
 * Alone: the agent's ssh server on a plain TCP port, without relay, wsproxy and websockets, so that
 * it can be measured beside sshd. Started by peers.ts with a file of public keys; says its port.
 */
import { createServer } from "node:net";
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
    notices: { bell: false, title: false },
    welcome: () => "",
    farewell: () => "",
  },
  keyring,
  new Meter(),
  systemClock,
  openLog("agent", "error"),
);

const listener = createServer({ noDelay: true }, (socket) => {
  // Whoever accepts names the other side, which a plain socket does not let them.
  Object.defineProperty(socket, "remoteAddress", { value: null, writable: true });
  server.accept({
    stream: inTurns(socket),
    get isOver(): boolean {
      return socket.closed;
    },
    ticket: "alone" as Ticket,
    address: "127.0.0.1",
    standing: null,
    keep: () => readSocketInPlace(socket),
    end: () => void socket.end(),
    cut: () => void socket.destroy(),
    onceOver: (act) => void socket.once("close", act),
    onTurn: () => {},
  });
}).listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify(listener.address())}\n`);
});
