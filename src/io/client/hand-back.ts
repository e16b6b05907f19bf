/**
 * Hand back: what wsproxy does for the terminal of a session that was cut where only it sees it, since
 * the relay or the agent is gone. It has seen ciphertext alone and knows of no mode that is on, and the
 * terminal is ssh's: so it acts only where ssh has made it raw, and says only what changes nothing
 * where nothing was on. xterm's ctlseqs.
 */
import { spawnSync } from "node:child_process";

/** What stty gets to answer; it reads one setting. */
const answerMs = 1_000;

/**
 * By going to the other screen and back the cursor stays where it is, or was on the main one; what
 * would move it is done there.
 */
const clean = [
  "\x18\x1b[?2026l\x1b[?1003l\x1b[?1002l\x1b[?1001l\x1b[?1000l\x1b[?9l",
  "\x1b[?1016l\x1b[?1015l\x1b[?1006l\x1b[?1005l\x1b[?1004l\x1b[?2004l",
  "\x1b[?1l\x1b>\x1b[>4m\x1b[=0u\x1b[0 q\x1b[4l\x1b[?7h\x1b[?5l",
  "\x1b[?1049h\x1b[r\x1b[?6l\x1b[?1049l\x0f\x1b(B\x1b[?25h\x1b[0m\r\n",
].join("");

/** The bytes for the terminal on standard error; "" where ssh does not hold it. */
export function handBack(env: NodeJS.ProcessEnv = process.env): string {
  if (/^(?:|dumb|unknown)$/.test(env["TERM"] ?? "")) return "";
  const { stdout } = spawnSync("stty", ["-a"], {
    stdio: [2, "pipe", "ignore"],
    encoding: "utf8",
    timeout: answerMs,
  });
  return isHeldBySsh(stdout ?? "") ? clean : "";
}

/** Whether what `stty -a` says is how OpenSSH leaves a terminal: a full-screen program keeps `opost`. */
export function isHeldBySsh(settings: string): boolean {
  return ["-opost", "-isig", "-icanon"].every((word) => settings.split(/[\s;]+/).includes(word));
}
