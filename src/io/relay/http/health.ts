/**
 * Health: asks a relay on this very machine whether it is well, as supervisors do that can only run a
 * program (Docker's HEALTHCHECK). It knows where the relay listens, and no more of it.
 */
import { request as askPlain } from "node:http";
import { request as askTls } from "node:https";
import { reasonOf } from "../../../actors/errors.ts";

/** Below what supervisors give: 3 s in our Dockerfile. */
const answerMs = 2_500;

/** Who listens on all addresses is asked at the machine's own. */
const own: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/** Null when it is well, else a sentence that says what it is not; never rejects. */
export function askHealth(at: {
  readonly host: string;
  readonly port: number;
  readonly contextPath: string;
  readonly isTls: boolean;
}): Promise<string | null> {
  const { host, port, contextPath, isTls } = at;
  const where = {
    host: own[host] ?? host,
    port,
    path: `${contextPath}/healthz`,
    timeout: answerMs,
  };
  const named = `${where.host}:${port}${where.path}`;
  return new Promise((tell) => {
    // Its certificate is for its public name, and whether it is good is not what is asked.
    const asked = isTls ? askTls({ ...where, rejectUnauthorized: false }) : askPlain(where);
    asked.once("response", (answer) => {
      answer.destroy();
      tell(answer.statusCode === 200 ? null : `${named} answers ${answer.statusCode}.`);
    });
    asked.once("timeout", () => asked.destroy(new Error(`no answer in ${answerMs / 1_000} s`)));
    asked.once("error", (error) => tell(`${named} does not answer: ${reasonOf(error)}.`));
    asked.end();
  });
}
