/**
 * Layout: what every page of the relay has around its own content. All links are relative, so a
 * page is right under any context path and behind any proxy that strips one.
 */
import type { ComponentChildren, JSX } from "preact";

/** Pages that every other leads to, in this order. */
export const navNames = ["about", "usage", "sessions", "guides", "downloads", "faq"] as const;
export type NavName = (typeof navNames)[number];

/** Files that the build made for a page, as paths below the relay's own. */
export interface PageAssets {
  readonly styles: readonly string[];
  readonly scripts: readonly string[];
  readonly preloads: readonly string[];
}

export const navTitles: Record<NavName, string> = {
  about: "About",
  usage: "Usage",
  sessions: "Sessions",
  guides: "Guides",
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

export const hrefOf = (page: NavName): string => (page === "about" ? "./" : page);

/** What a page is for who has only its link. */
export interface Head {
  readonly title: string;
  readonly description: string;
}

export function Layout(props: {
  head: Head;
  /** The one of the navigation that this is; null for none of them. */
  page: NavName | null;
  /** From here to the relay's own path: `""`, or `../` for each folder. */
  up: string;
  /** The relay's URL without a slash at the end; null where nobody knows it. */
  base: string | null;
  version: string;
  assets: PageAssets;
  sessionsFor: SessionsFor;
  children: ComponentChildren;
}): JSX.Element {
  const { head, page, up, base, version, assets, sessionsFor, children } = props;
  const shown = navNames.filter((name) => name !== "sessions" || sessionsFor !== "nobody");
  const title = page === "about" ? head.title : `${head.title} · Converge`;
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="theme-color" content="#fbfcfc" media="(prefers-color-scheme: light)" />
        <meta name="theme-color" content="#0f1416" media="(prefers-color-scheme: dark)" />
        <title>{title}</title>
        <meta name="description" content={head.description} />
        <meta property="og:type" content="website" />
        <meta property="og:site_name" content="Converge" />
        <meta property="og:title" content={head.title} />
        <meta property="og:description" content={head.description} />
        {base !== null && <meta property="og:image" content={`${base}/assets/share.png`} />}
        <link rel="icon" href={`${up}assets/icon.svg`} type="image/svg+xml" />
        {assets.styles.map((href) => (
          <link key={href} rel="stylesheet" href={up + href} />
        ))}
        {assets.preloads.map((href) => (
          <link key={href} rel="modulepreload" href={up + href} />
        ))}
        {assets.scripts.map((src) => (
          <script key={src} type="module" src={up + src} />
        ))}
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to the content
        </a>
        <header class="top">
          <a class="brand" href={up || "./"}>
            Converge
          </a>
          <nav aria-label="Pages">
            <ul>
              {shown.map((name) => (
                <li key={name}>
                  <a
                    href={name === "about" ? up || "./" : up + hrefOf(name)}
                    aria-current={name === page ? "page" : undefined}
                  >
                    {navTitles[name]}
                  </a>
                </li>
              ))}
            </ul>
          </nav>
        </header>
        <main id="main" tabIndex={-1} class={page ?? "text"}>
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
