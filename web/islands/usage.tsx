/**
 * Usage, live: at every change of the form the commands are made anew, the address becomes the
 * share link, and the cookie remembers it. Nothing of the form is sent anywhere.
 */
import { render } from "preact";
import { randomId, readChoices, writeChoices } from "../choices.ts";
import { Snippets } from "../snippets.tsx";

/** As the relay keeps it: name, a year. */
const cookieName = "converge-usage";
const cookieMaxAge = 365 * 24 * 3_600;
const cookieMaxLength = 3_900;

const form = document.getElementById("choices");
const place = document.getElementById("snippets");

/** Whose machine this is, as far as a browser tells; Linux where it does not. */
function ownPlatform(): string {
  if (/Windows/.test(navigator.userAgent)) return "powershell";
  return /Mac OS/.test(navigator.userAgent) ? "macos" : "linux";
}

if (form instanceof HTMLFormElement && place) {
  const base = place.dataset["base"] ?? "";
  const remember = (query: string): void => {
    history.replaceState(null, "", query ? `usage?${query}` : "usage");
    const value = encodeURIComponent(query);
    if (value.length > cookieMaxLength) return;
    const { pathname } = new URL(".", location.href);
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API needs https, relays may be on http
    document.cookie = `${cookieName}=${value}; path=${pathname}; max-age=${cookieMaxAge}; samesite=lax`;
  };
  const show = (): string => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) query.set(name, String(value));
    const choices = readChoices(query);
    render(<Snippets choices={choices} base={base} />, place);
    return writeChoices(choices);
  };
  const field = (name: string): HTMLInputElement | HTMLSelectElement | null => {
    const found = form.elements.namedItem(name);
    return found instanceof HTMLInputElement || found instanceof HTMLSelectElement ? found : null;
  };

  form.addEventListener("input", () => remember(show()));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    remember(show());
  });
  const another = document.getElementById("another");
  if (another) {
    another.hidden = false;
    another.addEventListener("click", () => {
      const id = field("id");
      if (id) id.value = randomId();
      remember(show());
    });
  }
  const isFresh = location.search === "" && !document.cookie.includes(`${cookieName}=`);
  const clientOs = field("clientOs");
  if (isFresh && clientOs) clientOs.value = ownPlatform();
  document.getElementById("submit")?.setAttribute("hidden", "");
  // The id of a first visit is kept, or the job and ssh would come to have two.
  if (isFresh) remember(show());
  else show();
}
