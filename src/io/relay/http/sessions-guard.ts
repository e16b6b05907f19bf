/**
 * Sessions guard: who may see which sessions there are: everybody, who has the token, or nobody.
 * It stands before the page, its JSON and its feed, and knows nothing of what they show.
 */
import type { FastifyInstance } from "fastify";
import { isToken, type Policy } from "../admission/policy.ts";
import type { Refusals } from "../admission/refusals.ts";
import { bearerIn } from "../admission/tokens.ts";

export type SessionsFor = "everybody" | "holders of the token" | "nobody";

export function audienceOf({ sessions }: Policy): SessionsFor {
  if (sessions === "public") return "everybody";
  return sessions === "off" ? "nobody" : "holders of the token";
}

const guarded = ["/sessions", "/api/sessions", "/api/sessions/live"];

/** The password of RFC 7617 with any user, for browsers, or the bearer token, for programs. */
function tokenIn(authorization: string | undefined): string | null {
  const [, basic] = /^basic +([\w+/=]+) *$/i.exec(authorization ?? "") ?? [];
  if (basic === undefined) return bearerIn(authorization);
  return Buffer.from(basic, "base64")
    .toString("utf8")
    .replace(/^[^:]*:/, "");
}

/** Answers 404 where nobody may look, and 401 to who has not the token; one fact is recorded of the latter. */
export function guardSessions(
  app: FastifyInstance,
  contextPath: string,
  policyNow: () => Policy,
  note: Refusals["note"],
): void {
  const paths = new Set(guarded.map((path) => contextPath + path));
  app.addHook("onRequest", (request, reply, done) => {
    const { sessions } = policyNow();
    const { authorization } = request.headers;
    if (sessions === "public" || !paths.has(request.routeOptions.url ?? "")) return done();
    reply.header("cache-control", "no-store");
    if (sessions === "off")
      return reply.code(404).send({ error: "This relay shows nobody which sessions there are." });
    const token = tokenIn(authorization);
    if (token !== null && isToken(token, sessions)) return done();
    const error = "Give the token of this relay's sessions page: as the password, with any name.";
    // A browser's first question is without one: that is nobody's mistake.
    if (token !== null) note(request.raw, "token", 401, error);
    reply
      .code(401)
      .header("www-authenticate", 'Basic realm="Converge sessions", charset="UTF-8"')
      .send({ error });
  });
}
