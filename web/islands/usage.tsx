/**
 * Usage, live: at every change of the form the commands are made anew, the address becomes the
 * share link, and the cookie remembers it. Nothing of the form is sent anywhere.
 */
import { render } from "preact";
import { lasting, randomId, readChoices, writeChoices } from "../choices.ts";
import { commandsFor } from "../commands.ts";
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

/** Each field with what is wrong with it, said once and where it is. */
function say(problems: Readonly<Record<string, string>>): void {
  for (const wrong of document.querySelectorAll<HTMLElement>(".wrong")) {
    const name = wrong.id.replace(/-wrong$/, "");
    wrong.textContent = problems[name] ?? "";
    const field = document.getElementById(name);
    if (!(field instanceof HTMLFieldSetElement))
      field?.setAttribute("aria-invalid", String(name in problems));
  }
}

if (form instanceof HTMLFormElement && place) {
  const base = place.dataset["base"] ?? "";
  const admission = JSON.parse(place.dataset["admission"] ?? "null");
  const choicesNow = (): ReturnType<typeof readChoices> => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) query.set(name, String(value));
    return readChoices(query);
  };
  const show = (): void => {
    const choices = choicesNow();
    // A system without variables of its own leaves only the other way.
    for (const radio of form.querySelectorAll<HTMLInputElement>("[name=idFrom]"))
      radio.checked = radio.value === choices.idFrom;
    render(<Snippets choices={choices} base={base} admission={admission} />, place);
    say(commandsFor(choices, base, admission).problems);
  };
  const remember = (): void => {
    const choices = choicesNow();
    const query = writeChoices(choices);
    history.replaceState(null, "", query ? `usage?${query}` : "usage");
    const value = encodeURIComponent(writeChoices(lasting(choices)));
    if (value.length > cookieMaxLength) return;
    const { pathname } = new URL(".", location.href);
    // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API needs https, relays may be on http
    document.cookie = `${cookieName}=${value}; path=${pathname}; max-age=${cookieMaxAge}; samesite=lax`;
  };
  const change = (): void => {
    show();
    remember();
  };
  const field = (name: string): HTMLInputElement | HTMLSelectElement | null => {
    const found = form.elements.namedItem(name);
    return found instanceof HTMLInputElement || found instanceof HTMLSelectElement ? found : null;
  };

  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    change();
  });
  const another = document.getElementById("another");
  if (another) {
    another.hidden = false;
    another.addEventListener("click", () => {
      const id = field("id");
      if (id) id.value = randomId();
      change();
    });
  }
  const asked = new URLSearchParams(location.search);
  const isRemembered = document.cookie.includes(`${cookieName}=`);
  const clientOs = field("clientOs");
  // Whose machine it is no link of a job's log can tell.
  const isGuess = !asked.has("clientOs") && (location.search !== "" || !isRemembered);
  if (isGuess && clientOs) clientOs.value = ownPlatform();
  document.getElementById("submit")?.setAttribute("hidden", "");
  // What a first visit shows is kept, so that the job and ssh do not come to have two ids.
  if (location.search === "" && !isRemembered) change();
  else show();
}
