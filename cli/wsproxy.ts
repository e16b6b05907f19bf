#!/usr/bin/env node
/**
 * wsproxy: ssh's proxy command. Standard output is bytes for ssh; people are spoken to on stderr.
 *
 * Every ssh waits for it to start. So the command line that the agent prints is understood here, and
 * what reads every other one, and says what is wrong with it, is loaded for that alone.
 */
import { parseArgs } from "node:util";
import type { ProxyCommandConfig } from "../src/io/client/proxy-command.ts";
import { clientUrlOf, isFingerprint } from "../src/io/protocol/wire.ts";
import { main } from "./exit.ts";
import { join, resumeMs, sayer, terminalNotice } from "./join.ts";

/** The usual way to be called: a URL, `--fingerprint`, `--quiet`, nothing else; null for all others. */
function usual(): { config: ProxyCommandConfig; isQuiet: boolean } | null {
  // Any of them may be a flag's twin, but for the bootstrap script's own.
  const isOurs = (name: string): boolean =>
    /^CONVERGE_(?!(?:PROGRAM|CACHE|STANDALONE|NODE_OPTIONS)$)/.test(name);
  if (Object.keys(process.env).some(isOurs)) return null;
  try {
    const options = {
      fingerprint: { type: "string" },
      host: { type: "string" },
      quiet: { type: "boolean" },
    } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const [text = "", ...more] = positionals;
    const { fingerprint = null, quiet: isQuiet = false } = values;
    if (more.length > 0 || !/^(?:https?|wss?):\/\/[\w.:[\]-]+\/[\w./~-]*$/.test(text)) return null;
    if (fingerprint !== null && !isFingerprint(fingerprint)) return null;
    const trust = { ca: null, insecure: false };
    const url = values.host ? clientUrlOf(new URL(text), values.host) : new URL(text);
    if (!url) return null;
    const config = { url, fingerprint, trust, raw: false, waitMs: 0, debug: () => {} };
    return { config: { ...config, resumeMs, notice: isQuiet ? null : terminalNotice() }, isQuiet };
  } catch {
    return null;
  }
}

void main(async (signal) => {
  const known = usual();
  if (known) return await join(known.config, sayer(known.isQuiet), signal);
  return await (await import("./wsproxy-flags.ts")).run(signal);
});
