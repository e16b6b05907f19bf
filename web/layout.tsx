/**
 * Layout: what every page of the relay has around its own content. All links are relative, so a
 * page is right under any context path and behind any proxy that strips one.
 */
import type { ComponentChildren, JSX } from "preact";

export const pageNames = ["about", "usage", "sessions", "downloads", "faq"] as const;
export type PageName = (typeof pageNames)[number];

/** Files that the build made for a page, as paths relative to the page. */
export interface PageAssets {
  readonly styles: readonly string[];
  readonly scripts: readonly string[];
  readonly preloads: readonly string[];
}

const titles: Record<PageName, string> = {
  about: "About",
  usage: "Usage",
  sessions: "Sessions",
  downloads: "Downloads",
  faq: "FAQ",
};

/** Who may see the sessions page. */
export type SessionsFor = "everybody" | "holders of the token" | "nobody";

const publicity: Record<SessionsFor, string> = {
  everybody: "Sessions are public, their content is not",
  "holders of the token": "Who has this relay's token sees its sessions, nobody their content",
  nobody: "Nobody sees the sessions here, nor their content",
};

export const hrefOf = (page: PageName): string => (page === "about" ? "./" : page);

export function Layout(props: {
  page: PageName;
  version: string;
  assets: PageAssets;
  sessionsFor: SessionsFor;
  children: ComponentChildren;
}): JSX.Element {
  const { page, version, assets, sessionsFor, children } = props;
  const shown = pageNames.filter((name) => name !== "sessions" || sessionsFor !== "nobody");
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${titles[page]} · Converge`}</title>
        <meta
          name="description"
          content="A real ssh session into a running CI job, through a relay that cannot read it."
        />
        <link rel="icon" href="assets/icon.svg" type="image/svg+xml" />
        {assets.styles.map((href) => (
          <link key={href} rel="stylesheet" href={href} />
        ))}
        {assets.preloads.map((href) => (
          <link key={href} rel="modulepreload" href={href} />
        ))}
        {assets.scripts.map((src) => (
          <script key={src} type="module" src={src} />
        ))}
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <header class="top">
          <a class="brand" href="./">
            Converge
          </a>
          <nav aria-label="Pages">
            <ul>
              {shown.map((name) => (
                <li key={name}>
                  <a href={hrefOf(name)} aria-current={name === page ? "page" : undefined}>
                    {titles[name]}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
        </header>
        <main id="main" tabIndex={-1} class={page}>
          {children}
        </main>
        <footer>
          <p>
            {`Converge ${version}. ${publicity[sessionsFor]}: the relay copies bytes that it cannot read. No cookies but your own choices, nothing from third parties.`}
          </p>
        </footer>
      </body>
    </html>
  );
}
