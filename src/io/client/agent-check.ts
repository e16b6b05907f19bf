/**
 * Agent check: what is needed beside the way to a relay: programs of this machine, an agent under the
 * id, and a key that it knows. It changes nothing, and logs in nowhere.
 */
import { ConvergeError } from "../../actors/errors.ts";
import { socketUrl, type Trust } from "../dial/config.ts";
import { dial } from "../dial/dial.ts";
import { controlMaxBytes, hostSuffix, subprotocols } from "../protocol/wire.ts";
import { plainText } from "../text.ts";
import { type Finding, failed } from "./finding.ts";
import { aliveSeconds, isOnPath, keysFor, knownKeys, sshVersion } from "./offered-keys.ts";

/** How long the relay may take to tell of the agent. */
const answerMs = 15_000;

/** What ssh would start as its proxy command, as words before its URL. */
export interface Wsproxy {
  readonly words: readonly string[];
  readonly version: string;
}

/** What this machine has; `there` is the relay's release, if it said. */
export async function* machine(
  base: URL,
  here: string,
  there: string | null,
): AsyncGenerator<Finding> {
  yield release(here, there);
  yield isOnPath("wsproxy")
    ? { name: "PATH", state: "ok", said: "wsproxy is found" }
    : {
        name: "PATH",
        state: "warn",
        said: "wsproxy is not on it, and the job's command calls it by that name",
        fix: `Get it: curl -fsSL ${base.href}wsproxy.sh | sh`,
      };
  const ssh = await sshVersion();
  yield ssh === null
    ? { name: "ssh", state: "warn", said: "there is none", fix: "Install OpenSSH's client." }
    : { name: "ssh", state: "ok", said: ssh };
  const seconds = ssh === null ? null : await aliveSeconds(`any${hostSuffix}`);
  if (seconds !== null)
    yield {
      name: "keepalive",
      state: "warn",
      said: `your ssh configuration ends ssh after ${seconds} s without a link`,
      fix: "The job's command puts ServerAliveInterval to 0; let yours do so for these hosts.",
    };
}

/** The agent of a client URL, and whether it knows one of the keys. */
export async function* visit(
  url: URL,
  trust: Trust,
  wsproxy: Wsproxy,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  const agent = await find(socketUrl(url), trust, signal);
  yield agent;
  if (agent.state === "ok") yield await keysFinding(url, trust, wsproxy, id);
}

function release(here: string, there: string | null): Finding {
  if (there === null || there === here)
    return { name: "release", state: "ok", said: there ? `${here} on both sides` : here };
  return {
    name: "release",
    state: "warn",
    said: `wsproxy ${here}, relay ${there}`,
    fix: "They speak one protocol. To have what is new, get the relay's own from its /downloads.",
  };
}

/** Whether somebody has the id, by knocking; the agent is asked to dial back, and finds nobody. */
async function find(url: URL, trust: Trust, signal: AbortSignal): Promise<Finding> {
  const id = plainText(url.pathname.split("/").at(-1) ?? "");
  try {
    const link = await dial(
      {
        url,
        subprotocol: subprotocols.client,
        trust,
        maxPayload: controlMaxBytes,
        isCiphertext: false,
      },
      signal,
    );
    const late = setTimeout(() => link.terminate(), answerMs);
    const { readToClient } = await import("../protocol/messages.ts");
    const finding = await new Promise<Finding>((resolve) => {
      link.once("message", (data: Buffer) => {
        const read = readToClient(data.toString());
        const found = "message" in read && read.message?.type === "found" ? read.message : null;
        if (!found) return;
        const { user, host, version } = found.agent;
        const said = `${id} is ${user}@${host}, release ${version}`;
        resolve({ name: "agent", state: "ok", said });
      });
      link.once("close", (_code, reason) => {
        const [, past = ""] = /; (it ended .*)$/.exec(plainText(reason.toString())) ?? [];
        const particular = past ? `${id} (${past})` : id;
        resolve(failed("agent", new ConvergeError("CONVERGE_NO_AGENT", particular)));
      });
      link.resume();
    });
    clearTimeout(late);
    link.terminate();
    return finding;
  } catch (error) {
    return failed("agent", error);
  }
}

/** Which of this machine's keys the agent knows. */
async function keysFinding(
  url: URL,
  { insecure }: Trust,
  { words }: Wsproxy,
  id: string,
): Promise<Finding> {
  const host = `${id}${hostSuffix}`;
  const keys = await keysFor(host);
  if (keys.length === 0)
    return {
      name: "keys",
      state: "warn",
      said: "ssh has no key to offer",
      fix: "Make one with ssh-keygen, or start an ssh-agent that has it; then let the job know its .pub.",
    };
  const flags = insecure ? ["--insecure"] : [];
  const known = await knownKeys(keys, [...words, "--quiet", ...flags, url.href], host);
  if (known === null)
    return {
      name: "keys",
      state: "warn",
      said: "ssh did not get so far as to offer them",
      fix: "Try the job's own ssh command, with -v.",
    };
  const named = (some: readonly { name: string }[]): string =>
    some.map(({ name }) => plainText(name, 60)).join(", ");
  return known.length > 0
    ? { name: "keys", state: "ok", said: `the agent knows ${named(known)}` }
    : {
        name: "keys",
        state: "warn",
        said: `the agent knows none of those that ssh offers: ${named(keys)}`,
        fix: "Put one's .pub into the job's .authorized_keys, or name the right one with ssh -i.",
      };
}
