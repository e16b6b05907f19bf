/**
 * Sessions feed: one page of the sessions as JSON, once and live. Whoever asks is sent what they can
 * see and no more; who may see it at all was decided before. What a row says comes from the roster.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";
import { confine, type NoteFault } from "../../../actors/confine.ts";
import type { LiveRoster, RosterChanges } from "../../../actors/observe/live-roster.ts";
import { type Order, orders } from "../../../actors/observe/order.ts";
import type { RosterView } from "../../../actors/observe/roster.ts";
import type { Holder } from "../../../machines/vocabulary.ts";
import { holderOf } from "../../holder.ts";
import type { Origin } from "../admission/origin.ts";
import type { WatchedPolicy } from "../admission/policy.ts";
import { tally } from "../admission/tally.ts";

/** Open live feeds, those of one holder, and what one may leave unread before it is cut. */
const feedsMax = 1_000;
const feedsPerHolder = 50;
const feedMaxBytes = 1024 * 1024;
/** Of these, feeds with a search: each looks through all agents, once a second. */
const searchesMax = 50;
const searchesPerHolder = 5;
/** Below the shortest idle time-out that proxies have by default. */
const feedPingMs = 20_000;
/** Of a search, in characters; what is more is not looked for. */
const searchMaxLength = 100;

interface SessionsViews {
  readonly live: LiveRoster;
  readonly policy: WatchedPolicy;
  readonly origin: Pick<Origin, "addressOf">;
  readonly fault: NoteFault;
}

/**
 * What a request wants to see, `?q=words&sort=order&page=n`; what cannot be is the first page of all.
 * Programs page through all of them, so theirs is the order that does not change meanwhile.
 */
export function viewIn({ url }: Pick<FastifyRequest, "url">, usual: Order = orders[0]): RosterView {
  const query = new URLSearchParams(url.split("?")[1] ?? "");
  const page = /^\d{1,6}$/.test(query.get("page") ?? "") ? Number(query.get("page")) : 1;
  const order = orders.find((known) => known === query.get("sort")) ?? usual;
  return { search: (query.get("q") ?? "").trim().slice(0, searchMaxLength), order, page };
}

/** Adds `path`, and `path/live`: server-sent events (HTML Living Standard, 9.2), first the whole page. */
export function addSessions(
  app: FastifyInstance,
  path: string,
  headers: Readonly<Record<string, string>>,
  { live, policy, origin, fault }: SessionsViews,
): void {
  app.get(path, (request, reply) => {
    const { rows: agents, page, pages, found, total, clients } = live.now(viewIn(request, "id"));
    const answer = { agents, page, pages, found, total, clients };
    return reply.header("cache-control", "no-store").send(answer);
  });

  const open = tally<Holder>();
  const searching = tally<Holder>();
  // Who watches the same is told the same, so it is written once.
  const written = new WeakMap<RosterChanges, string>();
  const textOf = (changes: RosterChanges): string => {
    const text = written.get(changes) ?? `data: ${JSON.stringify(changes)}\n\n`;
    written.set(changes, text);
    return text;
  };
  app.get(`${path}/live`, { exposeHeadRoute: false }, (request, reply) => {
    const holder = holderOf(origin.addressOf(request.raw));
    const view = viewIn(request);
    const isSearch = view.search !== "";
    const isFull = open.size() >= feedsMax || open.of(holder) >= feedsPerHolder;
    const isSearchFull =
      isSearch && (searching.size() >= searchesMax || searching.of(holder) >= searchesPerHolder);
    if (isFull || isSearchFull)
      return reply
        .code(503)
        .header("retry-after", "30")
        .send({ error: "Too many people watch this page. Try again in a minute." });
    const leaves = [open.enter(holder), ...(isSearch ? [searching.enter(holder)] : [])];
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-accel-buffering": "no", // nginx would hold events back
    });
    const send = (text: string): void => {
      if (raw.writableLength > feedMaxBytes) raw.destroy();
      else raw.write(text);
    };
    const tell = (changes: RosterChanges): void => send(textOf(changes));
    const drop = (): void => void raw.destroy();
    tell(live.now(view));
    const watching = live.changes(view).subscribe({
      next: confine(fault, "live feed", tell, drop),
      error: (error) => {
        fault("live feed", error);
        drop();
      },
    });
    // Who may still see comes back by itself.
    const end = confine(fault, "live feed", () => void raw.end(), drop);
    watching.add(policy.changes.subscribe(end));
    const ping = setInterval(
      confine(fault, "live feed", () => send(": here\n\n"), drop),
      feedPingMs,
    );
    raw.once("close", () => {
      for (const leave of leaves) leave();
      clearInterval(ping);
      watching.unsubscribe();
    });
    return reply;
  });
}
