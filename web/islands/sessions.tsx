/**
 * Sessions, live: takes the relay's events and keeps the page true that the address shows. A search
 * is the relay's work, and asked of it as it is typed. When the relay goes away it says so and tries
 * again by itself; while the tab is hidden it listens to nothing.
 */
import { effect, signal } from "@preact/signals";
import { render } from "preact";
import type { RosterChanges } from "../../src/actors/observe/live-roster.ts";
import { orders } from "../../src/actors/observe/order.ts";
import { type RosterPage, type RosterView, rowsInOrder } from "../../src/actors/observe/roster.ts";
import { Hours } from "../hours.tsx";
import { queryOf, SessionsTable } from "../sessions.tsx";

const retryMs = 2_000;
/** From the last key of a search to the question. */
const typedMs = 250;
/** The picture of the hours comes with the whole page, which is asked for so often. */
const wholeMs = 5 * 60_000;
const hours = document.getElementById("hours");
const place = document.getElementById("sessions");
const live = document.getElementById("live");
const form = document.getElementById("search");

const asked = new URLSearchParams(location.search);
let view: RosterView = {
  search: asked.get("q") ?? "",
  order: orders.find((known) => known === asked.get("sort")) ?? orders[0],
  page: Number(asked.get("page")) || 1,
};
const shown = signal<RosterPage | null>(null);
const now = signal(Date.now());
/** The relay's clock minus this browser's. */
let aheadMs = 0;
let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;

function say(text: string, state: "on" | "off"): void {
  if (!live || live.textContent === text) return;
  live.textContent = text;
  live.className = `live ${state}`;
}

function take(changes: RosterChanges): void {
  aheadMs = Date.parse(changes.at) - Date.now();
  const known = new Map(changes.isWhole ? [] : shown.value?.rows.map((row) => [row.id, row]));
  for (const id of changes.gone) known.delete(id);
  for (const row of changes.rows) known.set(row.id, row);
  shown.value = { ...changes, rows: rowsInOrder([...known.values()], changes.order) };
  if (changes.history && hours) render(<Hours history={changes.history} />, hours);
}

function listen(): void {
  clearTimeout(retry);
  source?.close();
  source = new EventSource(`api/sessions/live${queryOf(view)}`);
  source.onopen = () => say("Live", "on");
  source.onmessage = (event) => take(JSON.parse(event.data));
  // A proxy's error page ends an EventSource for good, so trying again is ours.
  source.onerror = () => {
    source?.close();
    say("The relay is not answering. Trying again …", "off");
    retry = setTimeout(listen, retryMs);
  };
}

function look(search: string): void {
  if (search === view.search) return;
  view = { ...view, search, page: 1 };
  history.replaceState(null, "", `sessions${queryOf(view)}`);
  setInterval(() => {
    if (!document.hidden && source?.readyState === EventSource.OPEN) listen();
  }, wholeMs);
  listen();
}

if (place && form) {
  const base = place.dataset["base"] ?? "";
  const isOpen = place.dataset["open"] === "true";
  effect(() => {
    if (shown.value)
      render(<SessionsTable shown={shown.value} now={now} base={base} isOpen={isOpen} />, place);
  });
  let typed: ReturnType<typeof setTimeout> | undefined;
  form.addEventListener("input", ({ target }) => {
    clearTimeout(typed);
    typed = setTimeout(() => look((target as HTMLInputElement).value.trim()), typedMs);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  setInterval(() => {
    if (!document.hidden) now.value = Date.now() + aheadMs;
  }, 1_000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(retry);
      source?.close();
    } else listen();
  });
  setInterval(() => {
    if (!document.hidden && source?.readyState === EventSource.OPEN) listen();
  }, wholeMs);
  listen();
}
