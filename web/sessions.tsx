/**
 * Sessions: the public table of agents and their clients. Rendered once by the relay, and kept up
 * to date by the `sessions` island with the same components. It knows rows, not how they came.
 */
import { type ReadonlySignal, signal } from "@preact/signals";
import type { JSX, VNode } from "preact";
import type { AgentRow, ClientRow, RosterPage, RosterView } from "../src/actors/observe/roster.ts";
import { sh } from "../src/actors/words/quoting.ts";
import { spoken } from "../src/actors/words/sentences.ts";
import { CodeBlock } from "./code-block.tsx";

/** What each state means, in a sentence; also the tooltip of its dot. */
const meanings: Record<AgentRow["state"], string> = {
  waiting: "No client is connected.",
  occupied: "Somebody is connected.",
  held: "Everybody left, and a .hold file keeps the job waiting.",
  lost: "A client's connection broke; the agent waits for it until expiry.",
  lingering: "The last client left; the job goes on in a moment.",
  ending: "The session is ending.",
  "relay lost": "The agent's link to this relay is down; it is redialling.",
  awaited: "A client is waiting for this agent to come.",
};

/** `999 B`, `1.5 kB`, `12 MB`: decimal units, two digits at least. */
export function bytesText(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = n;
  let unit = 0;
  for (; value >= 999.5 && unit < units.length - 1; unit += 1) value /= 1_000;
  return `${unit > 0 && value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Counts on the relay's clock, so that a browser's wrong one does no harm. */
type Now = ReadonlySignal<number>;

/** From here on people in the session are warned by default, and so are onlookers. */
const soonMs = 5 * 60_000;

function Left({ until, now }: { until: string; now: Now }): JSX.Element {
  const ms = Date.parse(until) - now.value;
  return (
    <time dateTime={until} class={ms <= soonMs ? "soon" : undefined}>
      {ms > 0 ? spoken(ms) : "now"}
    </time>
  );
}

function Since({ at, now }: { at: string; now: Now }): JSX.Element {
  return (
    <time dateTime={at} title={at}>
      {spoken(Math.max(0, now.value - Date.parse(at)))}
    </time>
  );
}

function Client({ client, now }: { client: ClientRow; now: Now }): JSX.Element {
  const { address, since, state, kinds, login, clientBytes, agentBytes } = client;
  return (
    <li>
      <b>{address}</b> <span class={`kind ${state}`}>{kinds.join(", ") || state}</span>
      {login && (
        <span class="login" title={login.fingerprint}>
          <bdi>{login.comment || login.fingerprint}</bdi>
        </span>
      )}
      <span class="bytes">{`${bytesText(clientBytes)} in, ${bytesText(agentBytes)} out`}</span>
      <span class="for">
        for <Since at={since} now={now} />
      </span>
    </li>
  );
}

function Agent({ row, now }: { row: AgentRow; now: Now }): JSX.Element {
  const { id, agent, state, held, since, expiresAt, clients, moreClients } = row;
  return (
    <tr role="row">
      <td role="cell" data-label="State">
        <span class={`state ${state.replace(" ", "-")}`} title={meanings[state]}>
          {state}
        </span>
        {held && state !== "held" && <span class="state held">held</span>}
      </td>
      <th role="rowheader" scope="row" data-label="Id">
        <bdi>{id}</bdi>
      </th>
      <td role="cell" data-label="Job">
        {agent ? (
          <>
            <bdi>{`${agent.user}@${agent.host}`}</bdi>
            <small>{`${agent.os} ${agent.arch} · ${agent.shell} · agent ${agent.version}`}</small>
          </>
        ) : (
          "not there yet"
        )}
      </td>
      <td role="cell" data-label="Up">
        {since ? <Since at={since} now={now} /> : "–"}
      </td>
      <td role="cell" data-label="Ends in">
        {expiresAt ? <Left until={expiresAt} now={now} /> : "–"}
      </td>
      <td role="cell" data-label="Clients">
        {clients.length === 0 ? (
          "none"
        ) : (
          <ul class="clients">
            {clients.map((client, i) => (
              <Client key={`${client.since} ${i}`} client={client} now={now} />
            ))}
            {moreClients > 0 && <li>{`and ${moreClients} more`}</li>}
          </ul>
        )}
      </td>
    </tr>
  );
}

/** A row that did not change keeps its node, and so costs nothing. */
const nodes = new WeakMap<AgentRow, VNode>();
function nodeOf(row: AgentRow, now: Now): VNode {
  const known = nodes.get(row);
  if (known) return known;
  const made = <Agent key={row.id} row={row} now={now} />;
  nodes.set(row, made);
  return made;
}

/** The query of a view, for links and for the feed; empty for the first page of all. */
export function queryOf({ search, page }: RosterView): string {
  const query = new URLSearchParams();
  if (search !== "") query.set("q", search);
  if (page > 1) query.set("page", String(page));
  const text = query.toString();
  return text === "" ? "" : `?${text}`;
}

const many = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** Links to the pages beside this one, of the same search. */
function Pager({ page, pages, search }: RosterPage): JSX.Element | null {
  if (pages === 1) return null;
  const link = (to: number, text: string, rel: string): JSX.Element | null =>
    to < 1 || to > pages ? null : (
      <a href={`sessions${queryOf({ search, page: to })}`} rel={rel}>
        {text}
      </a>
    );
  return (
    <nav class="pager" aria-label="Pages">
      {link(page - 1, "Previous", "prev")}
      <span aria-current="page">{`Page ${page} of ${pages}`}</span>
      {link(page + 1, "Next", "next")}
    </nav>
  );
}

/** The table, or what to do when it is empty. `base` is the relay's URL. */
export function SessionsTable(props: { shown: RosterPage; now: Now; base: string }): JSX.Element {
  const { shown, now, base } = props;
  const { rows, found, total, clients } = shown;
  if (total === 0)
    return (
      <div class="empty">
        <p>
          <b>Nobody is here.</b> A session appears as soon as a job starts its agent:
        </p>
        <CodeBlock
          id="start"
          label="In the job"
          code={`curl -fsSL ${sh.word(`${base}/agent.sh`)} | sh`}
        />
        <p>
          <a href="usage">Usage</a> makes the exact lines for your CI.
        </p>
      </div>
    );
  return (
    <>
      <p class="count">
        {`${found === total ? "" : `${found} of `}${many(total, "agent")}, ${many(clients, "client")}`}
      </p>
      {/* The roles are said, since a phone's layout takes the table's own away. */}
      <table role="table" class="sessions">
        <caption class="unseen">Agents and their clients</caption>
        <thead role="rowgroup">
          <tr role="row">
            {["State", "Id", "Job", "Up", "Ends in", "Clients"].map((name) => (
              <th key={name} role="columnheader" scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">{rows.map((row) => nodeOf(row, now))}</tbody>
      </table>
      <Pager {...shown} />
    </>
  );
}

/** The whole page as it was at `atMs`; without JavaScript it stays so. */
export function SessionsPage(props: {
  shown: RosterPage;
  atMs: number;
  base: string;
}): JSX.Element {
  const { shown, atMs, base } = props;
  return (
    <>
      <h1>Sessions</h1>
      <p class="lede">
        Who is in which job, now. Public by design: everybody may see that a session exists, nobody
        what is typed in it.
      </p>
      <div class="tools">
        <p id="live" role="status">
          {`As of ${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC. `}
          <a href={`sessions${queryOf(shown)}`}>Load again</a>
        </p>
        <form id="search" method="get" action="sessions">
          <label>
            Search{" "}
            <input
              type="search"
              name="q"
              value={shown.search}
              maxLength={100}
              autocomplete="off"
              spellcheck={false}
            />
          </label>
        </form>
      </div>
      <div id="sessions" data-base={base}>
        <SessionsTable shown={shown} now={signal(atMs)} base={base} />
      </div>
    </>
  );
}
