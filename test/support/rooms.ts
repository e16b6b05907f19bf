/**
 * Rooms: what each folder of the sources is, and whom it may import. A room may import itself, what
 * its row names, and, within `src/io`, the ground: the files right in that folder. Type imports count.
 * `test/architecture.test.ts` holds it; `npm run diagrams` prints it into `src/README.md`.
 */

/** One folder, without the folders in it that have rows of their own. */
export interface Room {
  /** What stands in it, for a stranger who looks for something. */
  readonly what: string;
  /** Rooms and modules; `node:*` is all of Node, and a star at the end is whatever begins so. */
  readonly may: readonly string[];
}

const acts = ["src/machines", "src/actors", "src/actors/words", "src/actors/observe"];
const wire = ["src/io/protocol", "src/io/websocket"];

export const rooms: Readonly<Record<string, Room>> = {
  "src/machines": {
    what: "What is decided, as xstate machines and plain rules: no socket, no clock, no text",
    may: ["xstate"],
  },
  "src/actors": {
    what: "Wires machines to ports and time: the agent, the relay, activity, errors",
    may: [...acts, "rxjs", "xstate"],
  },
  "src/actors/words": {
    what: "What people read: notices, help, ready-made ssh commands and their quoting",
    may: ["src/machines"],
  },
  "src/actors/observe": {
    what: "What is seen of a relay: facts, their recorder, the sessions as rows, gauges",
    may: ["src/machines", "src/actors", "rxjs", "xstate"],
  },
  "src/io": {
    what: "The ground of all of io: clock, log, output, text from outside, version",
    may: [...acts, "node:*", "pino"],
  },
  "src/io/wasm": {
    what: "Code made at start where JavaScript is too slow: unmasking, Poly1305",
    may: [],
  },
  "src/io/protocol": {
    what: "What goes over the wire: paths, close codes, bounds, control messages, identity",
    may: ["src/machines", "node:crypto", "valibot"],
  },
  "src/io/resume": {
    what: "A byte stream that outlives its links: records, what is kept, proofs of whose it is",
    may: ["src/actors", "node:crypto"],
  },
  "src/io/websocket": {
    what: "Links: frames read and written in place, ends, keep-alive, a link as a stream",
    may: [...acts, "src/io/protocol", "src/io/wasm", "node:*", "ws"],
  },
  "src/io/ssh2": {
    what: "All that touches ssh2's private parts: gaps, post-quantum exchanges, host key",
    may: [...acts, "src/io/wasm", "node:*", "ssh2*", "@noble/*", "@oqs/*"],
  },
  "src/io/dial": {
    what: "Dialling out to a relay: proxies, trust, and why it failed",
    may: [...acts, ...wire, "node:*", "ws", "https-proxy-agent"],
  },
  "src/io/client": {
    what: "wsproxy: connects, waits, pins the host key, copies bytes; the doctor",
    may: [...acts, ...wire, "src/io/resume", "src/io/dial", "node:*"],
  },
  "src/io/relay": {
    what: "The relay: upgrade, registration, links, splice, and its ports put together",
    may: [
      ...acts,
      ...wire,
      "src/io/relay/admission",
      "src/io/relay/http",
      "node:http",
      "node:perf_hooks",
      "node:stream",
      "node:v8",
      "ws",
      "rxjs",
    ],
  },
  "src/io/relay/admission": {
    what: "Who may come in: routes, origin, limits, rates, policy, tokens, refusals",
    may: [
      ...acts,
      "src/io/protocol",
      "node:crypto",
      "node:fs",
      "node:http",
      "node:net",
      "node:path",
      "node:stream",
      "jose",
      "valibot",
      "proxy-addr",
      "rxjs",
    ],
  },
  "src/io/relay/http": {
    what: "What a browser, curl and Prometheus see: pages, sessions, downloads, metrics",
    may: [
      ...acts,
      "src/io/protocol",
      "src/io/relay/admission",
      "node:crypto",
      "node:fs*",
      "node:http*",
      "node:net",
      "node:path",
      "node:stream*",
      "node:tls",
      "fastify",
      "@fastify/*",
      "cookie",
      "prom-client",
      "rxjs",
    ],
  },
  "src/io/agent": {
    what: "The agent: its control link, visits that are dialled back, and its ports put together",
    may: [
      ...acts,
      ...wire,
      "src/io/resume",
      "src/io/dial",
      "src/io/ssh2",
      "src/io/agent/ssh",
      "src/io/agent/shell",
      "src/io/agent/keys",
      "src/io/agent/job",
      "node:*",
      "ws",
      "rxjs",
    ],
  },
  "src/io/agent/ssh": {
    what: "The ssh server: login, channels, forwarding; never knows that it was dialled out",
    may: [
      ...acts,
      "src/io/agent/sftp",
      "src/io/agent/shell",
      "src/io/agent/keys",
      "src/io/ssh2",
      "node:*",
      "ssh2",
      "rxjs",
    ],
  },
  "src/io/agent/sftp": {
    what: "SFTP version 3 over the job's files",
    may: ["node:*"],
  },
  "src/io/agent/shell": {
    what: "Processes of a session: shells, terminals, pipes, and what reaps them",
    may: [...acts, "node:*", "@lydell/node-pty"],
  },
  "src/io/agent/keys": {
    what: "Who may log in: authorized keys, their options, keys from URLs",
    may: [...acts, "src/io/dial", "node:*"],
  },
  "src/io/agent/job": {
    what: "The agent's side of the job: the hold file",
    may: [...acts, "src/io/agent/shell", "node:*", "rxjs"],
  },
  web: {
    what: "The pages, rendered by the relay and alive in the browser",
    may: [...acts, "preact", "preact-render-to-string", "@preact/*"],
  },
  cli: {
    what: "The three programs: flags, what is put together, exit statuses",
    may: ["src/*", "web", "node:*", "commander"],
  },
};

/** The room of a file, by its path from the root: the deepest folder that has a row. */
export function roomOf(path: string): string | undefined {
  return Object.keys(rooms)
    .filter((room) => path.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** Whether a room may import another room or a module. */
export function mayImport(room: string, name: string): boolean {
  if (name === room || (name === "src/io" && room.startsWith("src/io/"))) return true;
  const fits = (allowed: string): boolean =>
    allowed === name || (allowed.endsWith("*") && name.startsWith(allowed.slice(0, -1)));
  return rooms[room]?.may.some(fits) ?? false;
}

/** What a row names, as people read it: shorter where several rooms are meant. */
function shown(may: readonly string[]): string {
  const hasActs = acts.every((room) => may.includes(room));
  const names = may.filter((name) => !(hasActs && acts.includes(name)));
  const short = (hasActs ? ["src/machines", "src/actors/**", ...names] : names).map(
    (name) => `\`${name.replace(/^src\/io\//, "io/")}\``,
  );
  return short.length === 0 ? "nothing" : short.join(" ");
}

/** A table in Biome's form: each column as wide as its widest cell. */
function tableOf(rows: readonly (readonly string[])[]): string {
  const [head = []] = rows;
  const widths = head.map((_, at) => Math.max(...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |\n`;
  const rule = widths.map((width) => "-".repeat(width));
  return [line(head), line(rule), ...rows.slice(1).map(line)].join("");
}

/** The table as the page that `npm run diagrams` writes. */
export function roomsPage(): string {
  const rows = Object.entries(rooms).map(([room, { what, may }]) => [
    `\`${room}\``,
    what,
    shown(may),
  ]);
  return [
    "# Rooms\n\nGenerated by `npm run diagrams`; do not edit.\n",
    "\nA room may import itself, what its row names, and, within `src/io`, the ground: the files right\n",
    "in that folder. Type imports count. `test/architecture.test.ts` holds it; the table stands in\n",
    "`test/support/rooms.ts`, where `io/…` is `src/io/…`.\n\n",
    tableOf([["room", "what it is", "may import"], ...rows]),
  ].join("");
}
