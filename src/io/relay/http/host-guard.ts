/**
 * Host guard: under which names pages, JSON and downloads are answered, and to whose pages. A name
 * that somebody points at this relay (DNS rebinding) makes a stranger's page look like one of ours;
 * where the relay knows its own names it answers to no other. It knows no path but those of probes.
 */
import type { FastifyInstance } from "fastify";
import type { Origin } from "../admission/origin.ts";
import type { Refusals } from "../admission/refusals.ts";

/** What an answer depends on that names the relay, or is given to some names only (RFC 9110 12.5.5). */
export const varies = "host, x-forwarded-host, x-forwarded-proto, origin";

/** Answers 421 under a name that is not the relay's, and 403 to pages of others. Probes go by any name. */
export function guardHost(
  app: FastifyInstance,
  { isOwn, misdirected }: Pick<Origin, "isOwn" | "misdirected">,
  probes: readonly string[],
  note: Refusals["note"],
): void {
  app.addHook("onRequest", (request, reply, done) => {
    const { origin } = request.headers;
    const isProbe = probes.includes(request.routeOptions.url ?? "");
    const wrongName = isProbe && origin === undefined ? null : misdirected(request.raw);
    if (wrongName === null && (origin === undefined || isOwn(request.raw, origin))) return done();
    const [reason, status, error] =
      wrongName === null
        ? (["origin", 403, "Pages of other sites may not ask here."] as const)
        : (["host", 421, wrongName] as const);
    note(request.raw, reason, status, error);
    reply.code(status).headers({ vary: varies, "cache-control": "no-store" }).send({ error });
  });
}
