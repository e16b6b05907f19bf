/**
 * Offered keys: which keys this machine's ssh would offer, and which of them an agent knows, asked of
 * ssh itself. No private key is read: ssh is given public ones alone, so it can offer them (RFC 4252 7)
 * and never log in.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { sh } from "../../actors/words/quoting.ts";
import { plainText } from "../text.ts";

/** One public key, as ssh would offer it. */
export interface OfferedKey {
  /** The file's name, or the comment of one that an ssh-agent holds. */
  readonly name: string;
  /** A line of OpenSSH's public key format. */
  readonly line: string;
}

/** An agent takes 18 requests of one connection; ssh makes one before it offers the first key. */
const keysMost = 15;
const answerMs = 20_000;

/** What a program writes to both outputs; null when there is none, or it does not end. */
function outputOf(
  file: string,
  args: readonly string[],
  limitMs = answerMs,
): Promise<string | null> {
  return new Promise((resolve) => {
    const child = execFile(file, args, { timeout: limitMs }, (error, out, err) => {
      const isMissing = error !== null && (error as NodeJS.ErrnoException).code === "ENOENT";
      resolve(isMissing ? null : out + err);
    });
    child.stdin?.end();
  });
}

/** `OpenSSH_9.2p1 …`; null without an ssh program. */
export async function sshVersion(): Promise<string | null> {
  const said = await outputOf("ssh", ["-V"]);
  return said && plainText(said.split(",")[0] ?? said, 60);
}

/**
 * After how many seconds without a sign of life ssh gives up by itself, by its configuration for `host`;
 * null when it does not.
 */
export async function aliveSeconds(host: string): Promise<number | null> {
  const config = (await outputOf("ssh", ["-G", "--", host])) ?? "";
  const of = (name: string): number =>
    Number(new RegExp(`^${name} (\\d+)$`, "m").exec(config)?.[1]);
  const seconds = of("serveraliveinterval") * of("serveralivecountmax");
  return seconds > 0 ? seconds : null;
}

/** Whether a program of that name is found as a shell finds it. */
export function isOnPath(name: string, path = process.env["PATH"] ?? ""): boolean {
  const names = process.platform === "win32" ? [`${name}.exe`, `${name}.cmd`] : [name];
  return path
    .split(delimiter)
    .some((folder) => folder !== "" && names.some((one) => existsSync(join(folder, one))));
}

/** The keys that `ssh` would offer to `host`, those of an ssh-agent first, as ssh does. */
export async function keysFor(host: string): Promise<OfferedKey[]> {
  const config = (await outputOf("ssh", ["-G", "--", host])) ?? "";
  const files = [...config.matchAll(/^identityfile (.+)$/gm)]
    .map(([, file = ""]) => file.replace(/^~(?=\/)/, homedir()))
    .flatMap((file) => {
      try {
        const line = readFileSync(`${file}.pub`, "utf8").trim();
        return [{ name: basename(file), line }];
      } catch {
        return []; // ssh itself passes over those that are not there
      }
    });
  const held = ((await outputOf("ssh-add", ["-L"])) ?? "")
    .split("\n")
    .filter((line) => /^(?:ssh|ecdsa|sk)-\S+ AAAA/.test(line))
    .map((line) => ({ name: plainText(line.split(" ").slice(2).join(" "), 60) || "?", line }));
  const all = new Map([...held, ...files].map((key) => [key.line.split(" ")[1], key]));
  return [...all.values()].slice(0, keysMost);
}

/** Those of the keys that the agent behind a proxy command knows; null when ssh did not get so far. */
export async function knownKeys(
  keys: readonly OfferedKey[],
  proxyWords: readonly string[],
  host: string,
): Promise<OfferedKey[] | null> {
  const folder = mkdtempSync(join(tmpdir(), "converge-doctor-"));
  try {
    const files = keys.map(({ line }, n) => {
      const file = join(folder, `key-${n}.pub`);
      writeFileSync(file, `${line}\n`, { mode: 0o600 });
      return file;
    });
    const quoted = process.platform === "win32" ? proxyWords : proxyWords.map(sh.word);
    const said = await outputOf("ssh", [
      "-v",
      "-oBatchMode=yes",
      "-oIdentitiesOnly=yes",
      "-oIdentityAgent=none",
      "-oPreferredAuthentications=publickey",
      "-oStrictHostKeyChecking=no",
      `-oUserKnownHostsFile=${process.platform === "win32" ? "NUL" : "/dev/null"}`,
      `-oProxyCommand=${quoted.join(" ").replaceAll("%", "%%")}`,
      "-oControlPath=none",
      ...files.map((file) => `-oIdentityFile=${file}`),
      `job@${host}`,
      "exit",
    ]);
    if (!said || !/Authentications that can continue/.test(said)) return null;
    return keys.filter((_, n) => said.includes(`Server accepts key: ${files[n]} `));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
