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
import { GuidesPage, guideNames, guides } from "./guides.tsx";
import {
  type Head,
  hrefOf,
  Layout,
  type NavName,
  navNames,
  navTitles,
  type PageAssets,
  type SessionsFor,
} from "./layout.tsx";
import { SessionsPage } from "./sessions.tsx";
import type { Admission } from "./tokens.ts";
import { UsagePage } from "./usage.tsx";

export interface Facts {
  readonly base: string;
  readonly query: string;
  readonly sessions: RosterChanges;
  readonly sessionsFor: SessionsFor;
  readonly admission: Admission;
  readonly files: readonly Download[];
}

/** An answer that is none, for somebody who reads it in a browser. */
export interface Refusal {
  readonly status: number;
  readonly sentence: string;
  /** From what was asked for to the relay's own path, as `Layout` has it. */
  readonly up: string;
  readonly sessionsFor: SessionsFor;
}

/** Vite's manifest: source files and what was made of them. */
export type Manifest = Record<
  string,
  { readonly file: string; readonly css?: readonly string[]; readonly imports?: readonly string[] }
>;

interface Page extends Head {
  /** Where it is below the relay's own path. */
  readonly path: string;
  readonly nav: NavName;
  readonly islands: readonly string[];
  content(facts: Facts): JSX.Element;
}

function assetsOf(islands: readonly string[], manifest: Manifest): PageAssets {
  const entries = islands.flatMap(
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

const contents: Record<NavName, Omit<Page, "path" | "nav" | "title"> & { title?: string }> = {
  about: {
    title: "Converge: a real ssh session into a running CI job",
    description:
      "A build fails on a machine that you cannot reach. Enter it with your own ssh, sftp, rsync and editor, through a relay that cannot read a byte.",
    islands: ["copy"],
    content: (facts) => <AboutPage {...facts} />,
  },
  usage: {
    description: "The exact lines for your CI system and the commands for your own terminal.",
    islands: ["copy", "usage"],
    content: ({ query, base, admission }) => (
      <UsagePage
        choices={readChoices(new URLSearchParams(query))}
        base={base}
        admission={admission}
      />
    ),
  },
  sessions: {
    description: "Which CI jobs can be entered now, and who is in them.",
    islands: ["copy", "sessions"],
    content: ({ sessions, base, admission }) => (
      <SessionsPage
        shown={sessions}
        history={sessions.history}
        atMs={Date.parse(sessions.at)}
        base={base}
        isOpen={admission === null}
      />
    ),
  },
  guides: {
    description: "How to debug a failed job of your CI system, and how to run a relay.",
    islands: ["copy"],
    content: () => <GuidesPage />,
  },
  downloads: {
    description: "The agent and wsproxy as this relay serves them, with sizes and SHA-256.",
    islands: ["copy"],
    content: ({ files, base }) => <DownloadsPage files={files} base={base} />,
  },
  faq: {
    title: "Questions and answers",
    description: "What the relay's operator can do, who gets in, and what to do when it fails.",
    islands: ["copy"],
    content: ({ sessionsFor }) => <FaqPage sessionsFor={sessionsFor} />,
  },
};

const pages: Readonly<Record<string, Page>> = Object.fromEntries([
  ...navNames.map((nav) => [
    nav,
    { title: navTitles[nav], ...contents[nav], nav, path: nav === "about" ? "" : hrefOf(nav) },
  ]),
  ...guideNames.map((name) => [
    `guides/${name}`,
    {
      ...guides[name],
      nav: "guides",
      path: `guides/${name}`,
      islands: ["copy"],
      content: guides[name].content,
    },
  ]),
]);

/** The site with the assets of one build. `version` is shown in the footer. */
export function siteOf(manifest: Manifest, version: string) {
  const whole = (element: JSX.Element): string => `<!doctype html>\n${render(element)}`;
  return {
    pages: Object.entries(pages).map(([name, { path }]) => ({ name, path })),
    render: (name: string, facts: Facts): string => {
      const page = pages[name] ?? pages["about"];
      if (!page) throw new Error("there are no pages");
      return whole(
        <Layout
          head={page}
          page={page.nav}
          up={"../".repeat(page.path.split("/").length - 1)}
          base={facts.base}
          version={version}
          assets={assetsOf(page.islands, manifest)}
          sessionsFor={facts.sessionsFor}
        >
          {page.content(facts)}
        </Layout>,
      );
    },
    refuse: ({ status, sentence, up, sessionsFor }: Refusal): string =>
      whole(
        <Layout
          head={{ title: `${status}`, description: sentence }}
          page={null}
          up={up}
          base={null}
          version={version}
          assets={assetsOf([], manifest)}
          sessionsFor={sessionsFor}
        >
          <h1>{status === 404 ? "Nothing is here" : "Not this way"}</h1>
          <p class="lede">{sentence}</p>
          <p>
            <a href={up || "./"}>What this relay is</a>, how to <a href={`${up}usage`}>use it</a>,{" "}
            <a href={`${up}faq`}>questions and answers</a>. The answer had the status {status}.
          </p>
        </Layout>,
      ),
  };
}
