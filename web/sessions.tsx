/**
 * Sessions: the public table of agents and their clients. Rendered once by the relay, and kept up
 * to date by the `sessions` island with the same components. It knows rows, not how they came.
 */
import { signal } from "@preact/signals";
import type { JSX, VNode } from "preact";
import type { History } from "../src/actors/observe/history.ts";
import { type Order, orders } from "../src/actors/observe/order.ts";
import type { AgentRow, ClientRow, RosterPage, RosterView } from "../src/actors/observe/roster.ts";
import { sh } from "../src/actors/words/quoting.ts";
import { spoken } from "../src/actors/words/sentences.ts";
import { CodeBlock, CopyButton } from "./code-block.tsx";
import { Hours } from "./hours.tsx";
import { bytesText, many, type Now, Since } from "./measures.tsx";

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

function Client({ client, now }: { client: ClientRow; now: Now }): JSX.Element {
  const { address, since, awaySince, resumes, state, kinds, login } = client;
  return (
    <li>
      <b>{address}</b>{" "}
      <span class={`kind ${state}`}>
        {state === "detached" ? state : kinds.join(", ") || state}
      </span>
      {login && (
        <span class="login" title={login.fingerprint}>
          <bdi>{login.comment || login.fingerprint}</bdi>
        </span>
      )}
      <span class="bytes">
        {awaySince === null
          ? `${bytesText(client.clientBytes)} in, ${bytesText(client.agentBytes)} out`
          : "its link is lost, its shell waits"}
      </span>
      <span class="for">
        {awaySince !== null && (
          <>
            away <Since at={awaySince} now={now} />,{" "}
          </>
        )}
        for <Since at={since} now={now} />
        {resumes > 0 && `, back ${many(resumes, "time")}`}
      </span>
    </li>
  );
}

/** Where the way into that job is, with the agent's key in it; `+` and `/` are written as `%2B` and `%2F`. */
const joinHref = (id: string, fingerprint: string): string =>
  `usage?${new URLSearchParams({ id, fingerprint })}`;

/** States in which nobody can get in. */
const shut: readonly AgentRow["state"][] = ["awaited", "relay lost", "ending"];

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
        <span class="id">
          <bdi id={`id-${id}`}>{id}</bdi> <CopyButton id={`id-${id}`} label={id} />
        </span>
        {agent && <code class="hash">{agent.fingerprint}</code>}
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
      <td role="cell" class="join">
        {agent && !shut.includes(state) && (
          <a class="button small" href={joinHref(id, agent.fingerprint)}>
            Join<span class="unseen">{` ${id}`}</span>
          </a>
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
export function queryOf({ search, order, page }: RosterView): string {
  const query = new URLSearchParams();
  if (search) query.set("q", search);
  if (order !== orders[0]) query.set("sort", order);
  if (page > 1) query.set("page", String(page));
  return query.size > 0 ? `?${query}` : "";
}

function Pager({ search, order, page, pages }: RosterPage): JSX.Element | null {
  if (pages < 2) return null;
  const link = (to: number, text: string, rel: string): JSX.Element | null =>
    to < 1 || to > pages ? null : (
      <a href={`sessions${queryOf({ search, order, page: to })}`} rel={rel}>
        {text}
      </a>
    );
  return (
    <nav class="pager" aria-label="Pages of sessions">
      {link(page - 1, "Previous", "prev")}
      <span aria-current="page">{`Page ${page} of ${pages}`}</span>
      {link(page + 1, "Next", "next")}
    </nav>
  );
}

const orderNames: Record<Order, string> = {
  active: "occupied",
  newest: "newest",
  ending: "ends next",
  id: "id",
};

function Sorted({ search, order }: RosterView): JSX.Element {
  return (
    <nav class="sorted" aria-label="Order">
      First:
      {orders.map((name) => (
        <a
          key={name}
          href={`sessions${queryOf({ search, order: name, page: 1 })}`}
          aria-current={name === order ? "true" : undefined}
        >
          {orderNames[name]}
        </a>
      ))}
    </nav>
  );
}

/** Who takes the first try on a machine of his own has a key there, and nothing else. */
const tryLine = (base: string): string =>
  `cat ~/.ssh/id_*.pub > .authorized_keys && curl -fsSL ${sh.word(`${base}/agent.sh`)} | sh`;

/** The table, or what to do when it is empty. `base` is the relay's URL. */
export function SessionsTable(props: {
  shown: RosterPage;
  now: Now;
  base: string;
  /** Whether an agent needs no token. */
  isOpen: boolean;
}): JSX.Element {
  const { shown, now, base, isOpen } = props;
  const { rows, found, total, clients } = shown;
  if (total === 0)
    return (
      <div class="empty">
        <p>
          <b>Nobody is here.</b> A session appears as soon as a job starts its agent.{" "}
          <a href="usage">Usage</a> makes the exact lines for your CI.
        </p>
        {isOpen && (
          <CodeBlock
            id="start"
            label="Try it: an empty folder on a machine with your ssh key"
            code={tryLine(base)}
          />
        )}
      </div>
    );
  return (
    <>
      <div class="over">
        <p class="count">
          {`${found === total ? "" : `${found} of `}${many(total, "agent")}, ${many(clients, "client")}`}
        </p>
        <Sorted {...shown} />
      </div>
      {/* The roles are said, since a phone's layout takes the table's own away. */}
      <table role="table" class="sessions">
        <caption class="unseen">Agents and their clients</caption>
        <thead role="rowgroup">
          <tr role="row">
            {["State", "Id, host key", "Job", "Up", "Ends in", "Clients", "Join"].map((name) => (
              <th key={name} role="columnheader" scope="col">
                {name === "Join" ? <span class="unseen">{name}</span> : name}
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
  history: History | null;
  atMs: number;
  base: string;
  isOpen: boolean;
}): JSX.Element {
  const { shown, history, atMs, base, isOpen } = props;
  return (
    <>
      <h1>Sessions</h1>
      <p class="lede">Who is in which job, now. What they type is nowhere.</p>
      <div class="tools">
        <form id="search" method="get" action="sessions">
          <label for="q">Search</label>
          <input
            type="search"
            id="q"
            name="q"
            value={shown.search}
            maxLength={100}
            autocomplete="off"
            spellcheck={false}
          />
          {shown.order !== orders[0] && <input type="hidden" name="sort" value={shown.order} />}
        </form>
        <p id="live" role="status">
          {`As of ${new Date(atMs).toISOString().slice(11, 19)} UTC. `}
          <a href={`sessions${queryOf(shown)}`}>Load again</a>
        </p>
      </div>
      <div id="hours">{history && <Hours history={history} />}</div>
      <div id="sessions" data-base={base} data-open={isOpen}>
        <SessionsTable shown={shown} now={signal(atMs)} base={base} isOpen={isOpen} />
      </div>
    </>
  );
}
