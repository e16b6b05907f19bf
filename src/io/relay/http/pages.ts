/**
 * Pages: the relay's web face on fastify: HTML, hashed assets, downloads. It knows paths, headers and caches; what a page says comes from `Site`.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import compress from "@fastify/compress";
import serveFiles from "@fastify/static";
import { parse, serialize } from "cookie";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { NoteFault } from "../../../actors/confine.ts";
import type { LiveRoster, RosterChanges } from "../../../actors/observe/live-roster.ts";
import type { Origin } from "../admission/origin.ts";
import type { Policy, WatchedPolicy } from "../admission/policy.ts";
import type { Refusals } from "../admission/refusals.ts";
import { bootstraps, bootstrapsIn } from "./bootstrap.ts";
import { aliases, type DownloadFile, downloadsIn, isServed } from "./downloads.ts";
import { addSessions, viewIn } from "./feed.ts";
import { guardHost, varies } from "./host-guard.ts";
import { probes } from "./server.ts";
import { audienceOf, guardSessions, type SessionsFor } from "./sessions-guard.ts";

/** What a page is made from. */
export interface PageFacts {
  /** The relay's URL as this browser knows it, without a slash at the end. */
  readonly base: string;
  /** The query string, or the one that the cookie kept, without `?`. */
  readonly query: string;
  readonly sessions: RosterChanges;
  /** Who may see the sessions page. */
  readonly sessionsFor: SessionsFor;
  /** Who may register agents. */
  readonly admission: Admission;
  readonly files: readonly DownloadFile[];
}

/**
 * What of the policy everybody may know, since a job must show it: whether a shared token will do, and whose
 * signed ones, for which audience. Which claims count is nobody's business. Null lets everybody register.
 */
export type Admission = {
  readonly tokens: boolean;
  readonly issuers: readonly { readonly issuer: string; readonly audience: string }[];
} | null;

function admissionOf({ register }: Policy): Admission {
  if (register === null) return null;
  const issuers = register.issuers.map(({ issuer, audience }) => ({ issuer, audience }));
  return { tokens: register.tokens.length > 0, issuers };
}

export interface Site {
  readonly pages: readonly { readonly name: string; readonly path: string }[];
  /** A whole HTML document. */
  render(name: string, facts: PageFacts): string;
  /** The same for an answer that is none; `up` leads from what was asked for to the relay's own path. */
  refuse(refusal: {
    readonly status: number;
    readonly sentence: string;
    readonly up: string;
    readonly sessionsFor: SessionsFor;
  }): string;
}

export interface PagesConfig {
  /** `""` or `/x`. */
  readonly contextPath: string;
  /** Folder of the built assets. */
  readonly assets: string;
  /** Folder of what is served below `/static/`. */
  readonly downloads: string;
  /** Folder of the scripts that fetch and start it. */
  readonly bootstrap: string;
}

export interface PagesViews {
  readonly site: Site;
  readonly live: LiveRoster;
  readonly origin: Origin;
  readonly policy: WatchedPolicy;
  readonly noteRefusal: Refusals["note"];
  readonly fault: NoteFault;
}

const cookieName = "converge-usage";
const cookieMaxAge = 365 * 24 * 3_600;
/** Far beyond what the form makes, and far below what a header may hold. */
const queryMaxLength = 6_000;
const hashed = /-[\w-]{8}\.\w+$/;

/** Nothing but our own files, no script or style in the markup, no sink that takes text as code. */
const securityHeaders = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
} as const;

/** A request whose Host is no host name gets no commands made of it. */
const isHostless = (base: string): boolean => /^\w+:\/\/(?:\/|$)/.test(base);
const hostless = "The Host header of this request is no host name.\n";

/** Adds the pages to the server, below the context path. */
export async function addPages(
  app: FastifyInstance,
  config: PagesConfig,
  views: PagesViews,
): Promise<void> {
  const { site, live, origin, policy, noteRefusal } = views;
  const { baseOf } = origin;
  const { contextPath } = config;
  const filesNow = downloadsIn(config.downloads);
  const open = probes.map((path) => contextPath + path);
  tellBrowsers(app, contextPath, site, () => audienceOf(policy.now()));
  guardHost(app, origin, open, noteRefusal);
  guardSessions(app, contextPath, policy.now, noteRefusal);
  app.addHook("onSend", (_request, reply, _payload, done) => {
    reply.headers(securityHeaders);
    done();
  });
  await app.register(compress, { threshold: 1_024, encodings: ["br", "gzip"] });
  await app.register(serveFiles, {
    root: config.assets,
    prefix: `${contextPath}/assets/`,
    preCompressed: true,
    index: false,
    allowedPath: (path) => !path.endsWith(".json"),
    cacheControl: false,
    setHeaders: (response, path) => {
      const isForever = hashed.test(path.replace(/\.(?:br|gz)$/, ""));
      response.setHeader("vary", "accept-encoding");
      response.setHeader(
        "cache-control",
        isForever ? "public, max-age=31536000, immutable" : "public, max-age=3600",
      );
    },
  });
  await addDownloads(app, config, filesNow, baseOf);

  if (contextPath) app.get(contextPath, (_request, reply) => reply.redirect(`${contextPath}/`));
  for (const { name, path } of site.pages)
    app.get(`${contextPath}/${path}`, async (request, reply) => {
      if (isHostless(baseOf(request.raw))) return reply.code(400).send(hostless);
      const facts = {
        base: baseOf(request.raw),
        query: name === "usage" ? remembered(request, reply, contextPath) : "",
        sessions: live.now(viewIn(request)),
        sessionsFor: audienceOf(policy.now()),
        admission: admissionOf(policy.now()),
        files: name === "downloads" ? await filesNow() : [],
      };
      return reply
        .header("cache-control", name === "sessions" ? "no-store" : "no-cache")
        .header("vary", varies)
        .type("text/html; charset=utf-8")
        .send(site.render(name, facts));
    });
  addSessions(app, `${contextPath}/api/sessions`, securityHeaders, views);
}

/** Whether it is somebody who reads: a browser names HTML for a page, and for nothing else. */
const reads = ({ headers }: FastifyRequest): boolean => /\btext\/html\b/.test(headers.accept ?? "");

/** From a path to the relay's own, by relative steps, since a proxy may have taken some of it away. */
function upFrom(url: string, contextPath: string): string {
  const path = url.split("?", 1)[0] ?? "/";
  const isBelow = contextPath !== "" && path.startsWith(`${contextPath}/`);
  const steps = (isBelow ? path.slice(contextPath.length) : path).split("/").length - 2;
  return (
    "../".repeat(Math.max(0, steps)) +
    (isBelow ? "" : contextPath.slice(1)) +
    (contextPath && !isBelow ? "/" : "")
  );
}

/** A refusal is a page for who reads, and stays JSON for programs. */
function tellBrowsers(
  app: FastifyInstance,
  contextPath: string,
  site: Site,
  sessionsFor: () => SessionsFor,
): void {
  app.addHook("onSend", (request, reply, payload, done) => {
    if (reply.statusCode < 400 || !reads(request) || typeof payload !== "string")
      return done(null, payload);
    const isJson = `${reply.getHeader("content-type")}`.startsWith("application/json");
    const sentence = isJson ? JSON.parse(payload).error : payload;
    if (typeof sentence !== "string") return done(null, payload);
    reply
      .removeHeader("content-length")
      .type("text/html; charset=utf-8")
      .header("vary", `accept, ${reply.getHeader("vary") ?? varies}`);
    const up = upFrom(request.url, contextPath);
    const status = reply.statusCode;
    done(null, site.refuse({ status, sentence, up, sessionsFor: sessionsFor() }));
  });
}

/** What machines fetch: files with validators and ranges, their hashes, and the scripts. */
async function addDownloads(
  app: FastifyInstance,
  { contextPath, downloads, bootstrap }: PagesConfig,
  filesNow: () => Promise<DownloadFile[]>,
  baseOf: Origin["baseOf"],
): Promise<void> {
  const plain = "text/plain; charset=utf-8";
  app.get(`${contextPath}/static/SHA256SUMS`, async (_request, reply) => {
    const lines = (await filesNow()).map(({ name, sha256 }) => `${sha256}  ${name}\n`);
    return reply.header("cache-control", "no-cache").type(plain).send(lines.join(""));
  });
  await app.register(serveFiles, {
    root: downloads,
    prefix: `${contextPath}/static/`,
    decorateReply: false,
    preCompressed: true,
    index: false,
    cacheControl: false,
    allowedPath: (path) =>
      isServed(path.replace(/^.*\//, "").replace(/\.(?:gz|br)$/, "")) && path.lastIndexOf("/") <= 0,
    setHeaders: (response) => {
      response.setHeader("cache-control", "no-cache");
      response.setHeader("vary", "accept-encoding");
    },
  });
  for (const [name, target] of Object.entries(aliases))
    if (!existsSync(join(downloads, name)))
      app.get(`${contextPath}/static/${name}`, (_request, reply) => reply.redirect(target));
  const script = bootstrapsIn(bootstrap);
  for (const name of bootstraps)
    app.get(`${contextPath}/${name}`, async (request, reply) => {
      const base = baseOf(request.raw);
      if (isHostless(base)) return reply.code(400).send(hostless);
      const text = script(name, base, await filesNow());
      const headers = { "cache-control": "no-cache", vary: varies };
      return reply.headers(headers).type(plain).send(text);
    });
}

/** The query, else the cookie's; a query is kept in the cookie, `reset` forgets it. */
function remembered(request: FastifyRequest, reply: FastifyReply, contextPath: string): string {
  const query = request.url.split("?")[1] ?? "";
  const options = { path: `${contextPath}/`, maxAge: cookieMaxAge, sameSite: "lax" } as const;
  if (query.length > queryMaxLength) return "";
  // A key that was pasted by mistake is neither kept nor shown again.
  if (/PRIVATE(?:\+|%20)KEY/.test(query)) return "";
  // Only the page's own form is remembered: a link is shown once.
  const from = request.headers["sec-fetch-site"];
  const isOurs = from === undefined || from === "same-origin" || from === "none";
  if (isOurs && new URLSearchParams(query).has("reset")) {
    reply.header("set-cookie", serialize(cookieName, "", { ...options, maxAge: 0 }));
    return "";
  }
  if (query === "") return parse(request.headers.cookie ?? "")[cookieName] ?? "";
  const chosen = new URLSearchParams(query);
  const isForm = from === "same-origin" && chosen.has("ci");
  // What is of one run would lead the next visit to a job that is gone.
  if (chosen.get("fingerprint")) chosen.delete("id");
  for (const name of ["runId", "fingerprint"]) chosen.delete(name);
  const kept = chosen.toString();
  // What a browser's cookie holds at most is 4096 bytes with its name and attributes.
  if (isForm && encodeURIComponent(kept).length < 3_900)
    reply.header("set-cookie", serialize(cookieName, kept, options));
  return query;
}

interface ManifestEntry {
  readonly file: string;
  readonly css?: readonly string[];
  readonly imports?: readonly string[];
}

/** Vite's manifest of the built assets; a build that is not there is an error with the path. */
export function readManifest(assets: string): Record<string, ManifestEntry> {
  return JSON.parse(readFileSync(join(assets, "manifest.json"), "utf8"));
}
