/**
 * Connect: one run of the proxy command, which joins a byte stream (ssh's stdin and stdout, or one
 * TCP connection) with a relay: it dials until there is an agent or the person's patience is over.
 * It does not know what is said on a websocket once it is open.
 */
import { type Clock, pause } from "../../actors/clock.ts";
import { ConvergeError, reasonOf } from "../../actors/errors.ts";
import { spoken } from "../../actors/words/sentences.ts";
import { socketUrl } from "../dial/config.ts";
import { fastDial } from "../dial/fast-dial.ts";
import { dataMaxBytes, resumeWord, subprotocols } from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { converse, understanding } from "./converse.ts";
import { type NearSide, readNearSide } from "./near-side.ts";
import type { ProxyCommandConfig, Say } from "./proxy-command.ts";
import type { Stdio } from "./stdio.ts";

/** Between two tries while waiting. */
const retryMs = 2_000;

/**
 * Runs one connection until either side ends it. Resolves when the far side ended it in order or
 * the near side did; rejects with a `ConvergeError` that says why it could not go on. An input that
 * ends before the two are joined changes nothing of that: who closed it may still want to know.
 */
export async function connect(
  config: ProxyCommandConfig,
  stdio: Stdio,
  say: Say,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const near = readNearSide(stdio, clock, () => gone.abort());
  try {
    await keepDialling(config, near, say, clock, AbortSignal.any([signal, gone.signal]));
  } finally {
    near.close();
  }
}

async function keepDialling(
  config: ProxyCommandConfig,
  near: NearSide,
  say: Say,
  clock: Clock,
  stop: AbortSignal,
): Promise<void> {
  const until = clock.now() + config.waitMs;
  for (;;) {
    const leftMs = Math.max(0, until - clock.now());
    const { host, pathname } = target(config, leftMs); // a query may hold a secret
    config.debug(`Dialling ${host}${pathname}.`);
    try {
      const socket = await fastDial(
        {
          url: target(config, leftMs),
          subprotocol: config.raw ? null : subprotocols.client,
          trust: config.trust,
          maxPayload: dataMaxBytes,
          isCiphertext: !config.raw,
        },
        stop,
      );
      return await converse(socket, await understanding(config), config, near, say, clock, stop);
    } catch (error) {
      if (stop.aborted) return;
      const code = error instanceof ConvergeError ? error.code : null;
      // A relay parks nobody for as long as some will wait.
      const wasParked = code === "CONVERGE_NO_AGENT" && config.waitMs > 0;
      if (!wasParked && code !== "CONVERGE_UNREACHABLE") throw error;
      if (clock.now() + retryMs > until) throw wasParked ? waitedInVain(config) : error;
      if (!wasParked) say(`${reasonOf(error)} Trying again.`);
      await pause(clock, retryMs, stop);
    }
  }
}

function waitedInVain({ url, waitMs }: ProxyCommandConfig): ConvergeError {
  const id = plainText(url.pathname.split("/").at(-1) ?? "");
  return new ConvergeError("CONVERGE_WAITED", `${id} within ${spoken(waitMs)}`);
}

function target({ url, raw, resumeMs }: ProxyCommandConfig, leftMs: number): URL {
  const socket = socketUrl(url);
  if (!raw && resumeMs > 0) socket.searchParams.set("can", resumeWord);
  if (!raw && leftMs > 0) socket.searchParams.set("wait", String(Math.ceil(leftMs)));
  return socket;
}
