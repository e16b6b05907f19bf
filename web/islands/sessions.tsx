/**
 * Sessions, live: takes the relay's events and keeps the table true. When the relay goes away it
 * says so and tries again by itself; while the tab is hidden it listens to nothing.
 */
import { effect, signal } from "@preact/signals";
import { render } from "preact";
import type { RosterChanges } from "../../src/actors/live-roster.ts";
import type { AgentRow } from "../../src/actors/roster.ts";
import { SessionsTable } from "../sessions.tsx";

const retryMs = 2_000;
const place = document.getElementById("sessions");
const live = document.getElementById("live");
const filterLabel = document.getElementById("filter");

const rows = signal<readonly AgentRow[] | null>(null);
const filter = signal("");
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
  const known = new Map(changes.isWhole ? [] : rows.value?.map((row) => [row.id, row]));
  for (const id of changes.gone) known.delete(id);
  for (const row of changes.rows) known.set(row.id, row);
  rows.value = [...known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function listen(): void {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("api/sessions/live");
  source.onopen = () => say("Live", "on");
  source.onmessage = (event) => take(JSON.parse(event.data));
  // A proxy's error page ends an EventSource for good, so trying again is ours.
  source.onerror = () => {
    source?.close();
    say("The relay is not answering. Trying again …", "off");
    retry = setTimeout(listen, retryMs);
  };
}

if (place && filterLabel) {
  const base = place.dataset["base"] ?? "";
  effect(() => {
    if (rows.value)
      render(
        <SessionsTable rows={rows.value} now={now} filter={filter.value} base={base} />,
        place,
      );
  });
  filterLabel.hidden = false;
  filterLabel.addEventListener("input", (event) => {
    filter.value = (event.target as HTMLInputElement).value;
  });
  setInterval(() => {
    if (!document.hidden) now.value = Date.now() + aheadMs;
  }, 1_000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(retry);
      source?.close();
    } else listen();
  });
  listen();
}
