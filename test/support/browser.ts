/**
 * Browser: Debian's Chromium on the relay's pages, with axe and a count of what the content
 * security policy refused. It talks to loopback only.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { root } from "./shipped.ts";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core"), "utf8");
/** Git ignores it: pictures of every page, to be looked at. */
const pictures = join(root, ".cache/pictures");

export const sizes = {
  phone: { width: 375, height: 740 },
  desktop: { width: 1_280, height: 860 },
} as const;

export function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

export interface Watched {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the policy refused, what failed, and whom it asked beside the relay. */
  faults(): Promise<string[]>;
}

/** A page that remembers every fault from its first byte on. */
export async function openPage(
  browser: Browser,
  options: Parameters<Browser["newContext"]>[0] = {},
): Promise<Watched> {
  const context = await browser.newContext({ viewport: sizes.desktop, ...options });
  context.setDefaultTimeout(20_000);
  const page = await context.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => {
    if (!["127.0.0.1", "localhost"].includes(new URL(request.url()).hostname))
      faults.push(`request: ${request.url()}`);
  });
  await context.exposeFunction("refused", (what: string) => faults.push(`policy: ${what}`));
  await context.addInitScript("globalThis.__name = (fn) => fn"); // tsx names functions with it
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      const told = (globalThis as unknown as { refused(what: string): void }).refused;
      told(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`);
    });
  });
  return {
    page,
    context,
    faults: async () => {
      await page.evaluate(() => 0).catch(() => 0); // what was told before has come
      return faults;
    },
  };
}

/** axe's findings as `rule: element`; none is what is wanted. */
export async function inaccessible(page: Page): Promise<string[]> {
  await page.evaluate(axeSource);
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: { run(): Promise<AxeResult> } };
    interface AxeResult {
      violations: { id: string; nodes: { html: string }[] }[];
    }
    const { violations } = await axe.run();
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}

/** A picture of the whole page. Take it last: the driver itself may break the policy. */
export async function picture(page: Page, name: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}
