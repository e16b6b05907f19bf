/**
 * Ssh session: one session channel (RFC 4254 6), carrying a shell, a command or sftp.
 *
 * It starts what the key and the agent allow, moves bytes with back-pressure both ways, counts
 * those that are activity, and passes on exit status and signals. It knows no clients and no time.
 */
import type { Readable, Writable } from "node:stream";
import type { PseudoTtyInfo, ServerChannel, Session } from "ssh2";
import type { Metering } from "../../../actors/activity.ts";
import type { Clock } from "../../../actors/clock.ts";
import { reasonOf } from "../../../actors/errors.ts";
import type { Told } from "../../../actors/ports.ts";
import type { ChannelKind } from "../../../machines/vocabulary.ts";
import { onGone, onWritten } from "../../ssh2/gaps.ts";
import { terminalText } from "../../text.ts";
import type { KeyOptions } from "../keys/key-options.ts";
import { serveSftp } from "../sftp/server.ts";
import { spawnCommand } from "../shell/child.ts";
import type { Process } from "../shell/process.ts";
import { commandArgs, interactiveArgs, type Shell } from "../shell/shells.ts";
import { openTerminal, withoutTerminal } from "../shell/terminal.ts";
import { type NoticeOptions, type Notices, openNotices } from "./notices.ts";

/** What is allowed, by the agent's flags and the key's options together. */
export interface Allowed {
  readonly shell: boolean;
  readonly exec: boolean;
  readonly sftp: boolean;
  readonly readOnly: boolean;
  readonly agentForwarding: boolean;
}

export interface SshSessionConfig {
  readonly allowed: Allowed;
  readonly key: KeyOptions;
  readonly shell: Shell;
  readonly agentdir: string;
  readonly meter: Metering;
  readonly notices: NoticeOptions;
  /** Text for a person at the start of a shell. */
  welcome(): string;
  /** A line at the end of a shell, if it was the client's last session. */
  farewell(): string | null;
  /** The whole environment of what is started. */
  environment(asked: {
    term: string | null;
    originalCommand: string | null;
    agentSocket: string | null;
    requested: Readonly<Record<string, string>>;
  }): Record<string, string>;
  agentSocket(): string | null;
  /** Called when something starts; the returned function when it is over. */
  onStart(kind: ChannelKind, running: RunningSession): () => void;
  /** The channel went away while its process was still running. */
  onAbandoned(pid: number): void;
  /** What the client says it is (RFC 4253 4.2). */
  readonly software: string;
  /** Something could not be started; the client has been told. */
  onFailedStart(error: unknown): void;
  /** Something went wrong that nobody foresaw: the connection is to end. */
  onFault(error: unknown): void;
}

/** A session under way, as its owner sees it. */
export interface RunningSession {
  /** Null for sftp. */
  readonly pid: number | null;
  /** Shows a notice where there is a terminal; nothing elsewhere. Never counted as activity. */
  note(told: Told): void;
  /**
   * It is about to be hung up: that death is told as exit status 129, which ssh passes on, and a
   * terminal is handed back clean with a last line.
   */
  expectHangUp(lastLine: string): void;
}

/** What the client has asked for before it starts something. */
type Asked = {
  pty: PseudoTtyInfo | null;
  /** Why a terminal was asked for in vain. */
  refused: string | null;
  agentForwarding: boolean;
  requested: Record<string, string>;
};

/** Env requests that one session may make. */
const requestsMost = 100;
/** Shells' convention for "ended by SIGHUP": 128 and the signal's number. */
const hungUpStatus = 129;

/** Serves a session channel from its first request on. */
export function serveSession(session: Session, config: SshSessionConfig, clock: Clock): void {
  const asked: Asked = { pty: null, refused: null, agentForwarding: false, requested: {} };
  let running: Process | null = null;
  let notices: Notices | null = null;
  let requests = 0;

  session.on("pty", (accept, reject, info) => {
    if (!config.key.pty || !config.allowed.shell || running) return reject?.();
    // ssh then sends whole lines, with its own editing and echo.
    asked.refused = withoutTerminal();
    if (asked.refused) return reject?.();
    asked.pty = info;
    accept?.();
  });
  session.on("window-change", (accept, _reject, { cols, rows }) => {
    if (asked.pty) Object.assign(asked.pty, { cols, rows });
    notices?.resize(cols, rows);
    accept?.();
  });
  session.on("env", (accept, reject, info) => {
    const { key, val } = info as { key: string; val: string };
    requests += 1;
    if (requests > requestsMost) return reject?.();
    asked.requested[key] = val;
    accept?.();
  });
  session.on("auth-agent", (accept, reject) => {
    if (!config.allowed.agentForwarding || !config.key.agentForwarding) return reject?.();
    asked.agentForwarding = true;
    accept?.();
  });
  session.on("signal", (accept, _reject, { name }) => {
    running?.signal(name);
    accept?.();
  });

  const { command } = config.key;
  // RFC 4254 6.5: only one of these requests can succeed on a channel.
  let isTaken = false;
  session.on("shell", (accept, reject) => {
    if (isTaken || !config.allowed.shell) return reject?.();
    if (command !== null) return forced(accept, reject, "");
    start(accept, "shell", null, null);
  });
  session.on("exec", (accept, reject, info) => {
    if (isTaken || !config.allowed.exec) return reject?.();
    if (command !== null) return forced(accept, reject, info.command);
    start(accept, "exec", info.command, null);
  });
  session.on("subsystem", (accept, reject, { name }) => {
    if (isTaken || name !== "sftp" || !config.allowed.sftp) return reject?.();
    if (command !== null) return forced(accept, reject, "internal-sftp");
    sftp(accept());
  });

  function forced(accept: () => ServerChannel, reject: () => void, original: string): void {
    if (command === "internal-sftp") {
      if (!config.allowed.sftp) return reject?.();
      return sftp(accept());
    }
    if (!config.allowed.exec) return reject?.();
    start(accept, "exec", command, original === "" ? null : original);
  }

  function sftp(channel: ServerChannel): void {
    isTaken = true;
    const over = config.onStart("sftp", { pid: null, note: () => {}, expectHangUp: () => {} });
    channel.on("error", () => {});
    serveSftp(channel, {
      home: config.agentdir,
      readOnly: config.allowed.readOnly,
      software: config.software,
      onReply: (bytes) => config.meter.add(bytes),
    })
      .catch((error: unknown) => failed(channel, 1, error))
      .finally(over);
  }

  /** What could not be started says why, and closes its channel with a status. */
  function failed(channel: ServerChannel, status: number, error: unknown): void {
    config.onFailedStart(error);
    channel.stderr.write(terminalText(`converge: ${reasonOf(error)}\n`, "\n"));
    channel.exit(status);
    channel.end();
  }

  function start(
    accept: () => ServerChannel,
    kind: "shell" | "exec",
    line: string | null,
    originalCommand: string | null,
  ): void {
    isTaken = true;
    const { pty } = asked;
    const channel = accept();
    channel.on("error", () => {});
    if (asked.refused !== null) {
      const said = `[converge] ${asked.refused} What you type goes out line by line.\n`;
      channel.stderr.write(terminalText(said, "\n"));
    }
    const what = {
      file: config.shell.path,
      args: line === null ? interactiveArgs(config.shell) : commandArgs(config.shell, line),
      cwd: config.agentdir,
      env: config.environment({
        term: pty ? pty.term || "xterm" : null,
        originalCommand,
        agentSocket: asked.agentForwarding ? config.agentSocket() : null,
        requested: asked.requested,
      }),
    };
    let child: Process;
    try {
      child = pty
        ? openTerminal({ ...what, cols: pty.cols, rows: pty.rows, modes: { ...pty.modes } })
        : spawnCommand(what);
    } catch (error) {
      return failed(channel, 126, error);
    }
    running = child;
    let lastLine: string | null = null;
    let hasExited = false;
    const over = config.onStart(kind, {
      pid: child.pid,
      note: (told) => notices?.show(told),
      expectHangUp: (line) => {
        lastLine = line;
      },
    });
    const gone = new Promise<void>((resolve) => {
      onGone(channel, () => {
        child.abandon();
        if (child.pid !== null && !hasExited) config.onAbandoned(child.pid);
        resolve();
      });
    });
    const written = Promise.race([gone, carry(channel, child, pty !== null)]);
    if (pty) {
      const { term, cols, rows } = pty;
      const { resize, greet, stdout: output } = child;
      const about = { ...config.notices, output, channel, term, cols, rows, resize, greet };
      notices = openNotices(about, clock);
      if (kind === "shell") notices.greet(config.welcome());
    }
    // The status goes out at once, as sshd does it; the channel closes when all output was taken.
    child.exitedFirst
      .then(({ code, signal }) => {
        hasExited = true;
        if (signal === null) channel.exit(code ?? 0);
        else if (signal === "HUP" && lastLine !== null) channel.exit(hungUpStatus);
        else channel.exit(signal, false, "");
      })
      .catch(config.onFault);
    Promise.all([child.exited, written])
      .then(() => {
        notices?.close(lastLine ?? (kind === "shell" ? config.farewell() : null));
        over();
        channel.end();
      })
      .catch(config.onFault);
  }

  /**
   * Bytes both ways; resolves when all output was taken by the channel, and not if that goes before.
   * With a terminal only what the client sends is activity.
   */
  function carry(channel: ServerChannel, child: Process, hasPty: boolean): Promise<unknown> {
    const { meter } = config;
    channel.on("data", (data: Buffer) => {
      meter.add(data.length);
      notices?.typed();
    });
    channel.pipe(child.stdin);
    // A command that closed its input must not stop the rest: what still comes is thrown away.
    child.stdin.on("error", () => {
      channel.unpipe(child.stdin);
      channel.resume();
    });
    const flow = (output: Readable, into: Writable): Promise<void> => {
      if (!hasPty) output.on("data", (data: Buffer) => meter.add(data.length));
      output.pipe(into, { end: false });
      return new Promise((resolve) => {
        output.once("close", () => onWritten(into, resolve));
      });
    };
    return Promise.all([
      flow(child.stdout, channel),
      child.stderr ? flow(child.stderr, channel.stderr) : null,
    ]);
  }
}
