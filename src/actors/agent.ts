/**
 * The agent as an actor: the session's machine and the uplink's, fed by the ports' streams.
 * It wires; when the session ends, and what people are told, is the machines' business.
 */
import { map, merge, type Observable, type Subscription } from "rxjs";
import { type ActorRefFrom, createActor, fromPromise, toPromise } from "xstate";
import {
  type AgentSessionEvent,
  type AgentSessionInput,
  agentSessionMachine,
} from "../machines/agent-session.ts";
import { patienceMs, type UplinkEnding, uplinkMachine } from "../machines/uplink.ts";
import type { AgentStatus, ClientReport, Ending, RendezvousId } from "../machines/vocabulary.ts";
import { activity, sampleMs, ticks } from "./activity.ts";
import type { Clock } from "./clock.ts";
import { ConvergeError } from "./errors.ts";
import type { AgentPorts, AgentState } from "./ports.ts";
import { trace } from "./trace.ts";
import { titleFor, wordsFor } from "./words/sentences.ts";

export interface AgentConfig {
  readonly id: RendezvousId;
  readonly limits: Omit<AgentSessionInput, "atMs">;
  readonly fingerprint: string;
  readonly relay: string;
}

type Session = ActorRefFrom<typeof agentSessionMachine>;

export interface RunningAgent extends AgentState {
  readonly ended: Promise<Ending>;
}

/**
 * Runs an agent to its end. `ended` rejects with a `ConvergeError` when the relay refused, or was
 * not reached within a minute of the start; otherwise it resolves after everything was closed.
 */
export function startAgent(
  config: AgentConfig,
  ports: AgentPorts,
  clock: Clock,
  signal: AbortSignal,
): RunningAgent {
  const inspect = trace(ports.log);
  const session = createActor(agentSessionMachine, {
    input: { ...config.limits, atMs: clock.now() },
    clock,
    inspect,
  });
  const uplink = createActor(
    uplinkMachine.provide({
      actors: {
        register: fromPromise(({ input }) => ports.register(input.id)),
        standing: fromPromise(() => ports.standing()),
      },
    }),
    { input: { id: config.id, patienceMs }, clock, inspect },
  );

  const open: Subscription[] = [];
  let warnings = 0;
  let ending: Ending["kind"] | undefined;
  let lastId = config.id;
  let reported = "";
  let reportedAtMs = Number.NEGATIVE_INFINITY;

  const state: AgentState = {
    timeoutMs: config.limits.timeoutMs,
    lingerMs: config.limits.lingerMs,
    rendezvous: () => lastId,
    leftMs: () => Math.max(0, Math.round(session.getSnapshot().context.deadlineMs - clock.now())),
    isHeld: () => session.getSnapshot().context.held,
  };
  ports.begin(state);
  const endsAt = (leftMs = state.leftMs()): string => new Date(clock.wall() + leftMs).toISOString();
  const feed = (events: Observable<AgentSessionEvent>): void => {
    open.push(events.subscribe((event) => session.send(event)));
  };

  session.on("notice", ({ notice, audience }) => {
    if (notice.about === "expiry near" && audience.to === "all") warnings += 1;
    if (notice.about === "expiry near")
      ports.announce({ event: "warning", leftMs: notice.leftMs, cause: notice.cause });
    if (notice.about === "expiry extended")
      ports.announce({ event: "extended", endsAt: endsAt(notice.leftMs) });
    if (notice.about === "hold set" || notice.about === "hold cleared")
      ports.announce({ event: notice.about, endsAt: endsAt() });
    ports.tell({ text: wordsFor(notice), title: titleFor(notice) }, audience);
  });
  session.on("given up", ({ client }) => ports.giveUp(client));
  let before = stateOf(session);
  session.subscribe((snapshot) => {
    const now = stateOf(session);
    if (now === before) return;
    before = now;
    uplink.send({ type: now === "occupied" ? "WANTED" : "UNWANTED" });
    const { lingerMs } = snapshot.context;
    if (now === "held" || now === "lost")
      ports.announce({ event: "waiting", why: now, endsAt: endsAt() });
    if (now === "lingering" && lingerMs > 0)
      ports.announce({ event: "waiting", why: now, endsAt: endsAt(lingerMs) });
  });
  uplink.on("registered", ({ id, clientUrl, isFirst }) => {
    const { fingerprint } = config;
    ports.log.info({ id, isFirst }, "registered");
    if (isFirst || id !== lastId)
      ports.announce({
        event: "ready",
        id,
        clientUrl,
        fingerprint,
        asked: lastId,
        keys: ports.keys,
        endsAt: endsAt(),
      });
    lastId = id;
    reported = "";
    report(stateOf(session)); // at once, so that the first client hears of the expiry
    if (isFirst) return;
    ports.announce({ event: "relay found" });
    session.send({ type: "RELAY.FOUND" });
  });
  uplink.on("lost", () => {
    ports.announce({ event: "relay lost", why: "the link broke" });
    session.send({ type: "RELAY.LOST" });
  });
  uplink.on("retrying", ({ why }) => ports.log.warn({ why }, "relay not reached, trying again"));
  const report = (reached: AgentStatus["state"]): void => {
    const { deadlineMs, held } = session.getSnapshot().context;
    const clients = ports.reports();
    const seconds = Math.round(deadlineMs / 1_000);
    const now = JSON.stringify([reached, seconds, held, clients.map(standingOf), warnings]);
    if (now === reported) return;
    reported = now;
    reportedAtMs = clock.now();
    ports.report({
      state: reached,
      leftMs: state.leftMs(),
      held,
      clients,
      warnings,
      ...(ending && { ending }),
    });
  };

  session.start();
  feed(merge(ports.holdFile.changes, keyEvents(ports.keyChanges), activityEvents(ports, clock)));
  open.push(
    ports.relayEndings.subscribe(({ leftMs, times }) => {
      ports.announce({ event: "relay ending", leftMs, ...(times > 1 && { times }) });
      session.send({ type: "RELAY.ENDING", leftMs });
    }),
    ports.clients.subscribe((news) => {
      const { type, who } = news;
      ports.announce({ event: eventOf[type], who });
      // A hold made by the last command counts, so the file is looked at before the leave is told.
      if (type === "CLIENT.LEFT" || type === "CLIENT.LOST") ports.holdFile.look();
      session.send(news);
      // Who came is reported now, not at the next tick: a command may be over before that.
      if (clock.now() - reportedAtMs >= sampleMs) report(stateOf(session));
    }),
    ticks(clock, sampleMs).subscribe(() => report(stateOf(session))),
  );
  const interrupt = (): void => session.send({ type: "INTERRUPTED" });
  signal.addEventListener("abort", interrupt, { once: true });
  if (signal.aborted) interrupt();
  uplink.start();

  const refused = toPromise(uplink).then((ending) => {
    throw refusalOf(ending, config.relay);
  });
  const close = async (how: Ending, isFailure = false): Promise<Ending> => {
    ending = how.kind;
    signal.removeEventListener("abort", interrupt);
    for (const subscription of open) subscription.unsubscribe();
    report("ending");
    uplink.stop();
    session.stop();
    await ports.end(wordsFor({ about: "ending", ending: how }));
    if (!isFailure) ports.announce({ event: "ended", ending: how.kind });
    return how;
  };
  const ended = Promise.race([toPromise(session), refused]).then(
    (how) => close(how),
    async (error) => {
      await close({ kind: "interrupted" }, true);
      throw error;
    },
  );
  return { ...state, ended };
}

const eventOf = {
  "CLIENT.JOINED": "client joined",
  "CLIENT.LEFT": "client left",
  "CLIENT.LOST": "client lost",
  "CLIENT.DETACHED": "client detached",
  "CLIENT.RESUMED": "client resumed",
} as const;

/** A report without what grows while nothing happens. */
const standingOf = ({ forMs: _, detachedMs, ...report }: ClientReport): unknown => [
  report,
  detachedMs === undefined,
];

function refusalOf(ending: UplinkEnding, relay: string): ConvergeError {
  return ending.kind === "refused"
    ? new ConvergeError(ending.code, ending.why)
    : new ConvergeError("CONVERGE_UNREACHABLE", `${relay} (${ending.why})`);
}

function stateOf(session: Session): AgentStatus["state"] {
  const { value } = session.getSnapshot();
  return typeof value === "object" ? value.open : "ending";
}

function activityEvents(ports: AgentPorts, clock: Clock): Observable<AgentSessionEvent> {
  return activity(ports.meter, clock).pipe(map((atMs) => ({ type: "ACTIVITY", atMs })));
}

function keyEvents(changes: Observable<string>): Observable<AgentSessionEvent> {
  return changes.pipe(map((what) => ({ type: "KEYS.CHANGED", what })));
}
