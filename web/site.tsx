/**
 * Site: from a page's name and facts to its HTML. It knows every page, and nothing of HTTP.
 */
import type { JSX } from "preact";
import { render } from "preact-render-to-string";
import type { RosterChanges } from "../src/actors/observe/live-roster.ts";
import { AboutPage } from "./about.tsx";
import { readChoices } from "./choices.ts";
import { type Download, DownloadsPage } from "./downloads.tsx";
import { FaqPage } from "./faq.tsx";
import {
  hrefOf,
  Layout,
  type PageAssets,
  type PageName,
  pageNames,
  type SessionsFor,
} from "./layout.tsx";
import { SessionsPage } from "./sessions.tsx";
import type { Admission } from "./tokens.ts";
import { UsagePage } from "./usage.tsx";

interface Facts {
  readonly base: string;
  readonly query: string;
  readonly sessions: RosterChanges;
  readonly sessionsFor: SessionsFor;
  readonly admission: Admission;
  readonly files: readonly Download[];
}

/** Vite's manifest: source files and what was made of them. */
export type Manifest = Record<
  string,
  { readonly file: string; readonly css?: readonly string[]; readonly imports?: readonly string[] }
>;

const islands: Record<PageName, readonly string[]> = {
  about: ["copy"],
  usage: ["copy", "usage"],
  sessions: ["copy", "sessions"],
  downloads: ["copy"],
  faq: ["copy"],
};

function assetsOf(page: PageName, manifest: Manifest): PageAssets {
  const entries = islands[page].flatMap(
    (name) => manifest[`web/islands/${name}.tsx`] ?? manifest[`web/islands/${name}.ts`] ?? [],
  );
  const imports = new Set(entries.flatMap(({ imports = [] }) => imports));
  const path = (file: string): string => `assets/${file}`;
  return {
    styles: [manifest["web/style.css"]?.file ?? []].flat().map(path),
    scripts: entries.map(({ file }) => path(file)),
    preloads: [...imports].flatMap((name) => manifest[name]?.file ?? []).map(path),
  };
}

const contents: Record<PageName, (facts: Facts) => JSX.Element> = {
  about: ({ sessionsFor }) => <AboutPage sessionsFor={sessionsFor} />,
  usage: ({ query, base, admission }) => (
    <UsagePage
      choices={readChoices(new URLSearchParams(query))}
      base={base}
      admission={admission}
    />
  ),
  sessions: ({ sessions, base, admission }) => (
    <SessionsPage
      shown={sessions}
      history={sessions.history}
      atMs={Date.parse(sessions.at)}
      base={base}
      isOpen={admission === null}
    />
  ),
  downloads: ({ files, base }) => <DownloadsPage files={files} base={base} />,
  faq: ({ sessionsFor }) => <FaqPage sessionsFor={sessionsFor} />,
};

/** The site with the assets of one build. `version` is shown in the footer. */
export function siteOf(manifest: Manifest, version: string) {
  return {
    pages: pageNames.map((name) => ({ name, path: name === "about" ? "" : hrefOf(name) })),
    render: (name: string, facts: Facts): string => {
      const page = pageNames.find((known) => known === name) ?? "about";
      const html = render(
        <Layout
          page={page}
          version={version}
          assets={assetsOf(page, manifest)}
          sessionsFor={facts.sessionsFor}
        >
          {contents[page](facts)}
        </Layout>,
      );
      return `<!doctype html>\n${html}`;
    },
  };
}
