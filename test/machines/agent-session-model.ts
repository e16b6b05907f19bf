/**
 * A plain model of an agent's session: who is in, what the hold file says, and when it ends. It is
 * moved tick by tick, and knows nothing of machines and timers.
 */
import type { AgentSessionInput } from "../../src/machines/agent-session.ts";
import type { ClientId, Ending, ExpiryCause } from "../../src/machines/vocabulary.ts";

/** No two things happen at one tick: see the limits of the test. */
export const tickMs = 100;
/** How long the hold file may be away before it is believed to be gone. */
const settleMs = 500;
const never = Number.NEGATIVE_INFINITY;

export class AgentSessionModel {
  readonly #limits: AgentSessionInput;
  nowMs = 0;
  #lastMs = 0;
  #holdMs = never;
  #timeoutMs: number;
  readonly clients = new Set<ClientId>();
  /** How many ever came: their names are counted. */
  joined = 0;
  state: "waiting" | "occupied" | "held" | "lost" | "lingering" = "waiting";
  held = false;
  /** Whether the file is there; with `held`, and no file, the session does not believe it yet. */
  isFile = false;
  #goneAtMs = never;
  #emptyAtMs = never;
  /** A warning was shown that nothing has put off. */
  #stands = false;
  ending: Ending["kind"] | null = null;
  /** Warnings, and what took them back, since the last look. */
  said: string[] = [];

  constructor(limits: AgentSessionInput) {
    this.#limits = limits;
    this.#timeoutMs = limits.joinTimeoutMs;
  }

  /** The later of activity and hold, plus the timeout; never after the longest duration. */
  get deadlineMs(): number {
    return Math.min(Math.max(this.#lastMs, this.#holdMs) + this.#timeoutMs, this.#capMs);
  }

  get #capMs(): number {
    return this.#limits.maxDurationMs ?? Number.POSITIVE_INFINITY;
  }

  get #cause(): ExpiryCause {
    return this.deadlineMs === this.#capMs ? "hard cap" : "inactivity";
  }

  /** Something was done now; with it the hold or the timeout may have changed. */
  #act(change: () => void = () => {}): void {
    const before = this.deadlineMs;
    this.#lastMs = this.nowMs;
    change();
    if (this.#stands && this.deadlineMs > before)
      this.said.push(`extended ${this.deadlineMs - this.nowMs}`);
    if (this.deadlineMs !== before) this.#stands = false;
  }

  activity(): void {
    this.#act();
  }

  join(client: ClientId): void {
    this.joined += 1;
    this.clients.add(client);
    this.#act(() => {
      this.#timeoutMs = this.#limits.timeoutMs;
    });
    this.state = "occupied";
  }

  /** In order, or since its link broke; neither is activity. */
  part(client: ClientId, isLost: boolean): void {
    this.clients.delete(client);
    if (this.clients.size > 0) return;
    this.state = isLost ? "lost" : this.held ? "held" : "lingering";
    this.#emptyAtMs = this.nowMs;
  }

  seeFile(aheadMs: number): void {
    this.isFile = true;
    this.held = true;
    this.#act(() => {
      this.#holdMs = this.nowMs + aheadMs;
    });
    if (this.state === "lingering") this.state = "held";
  }

  missFile(): void {
    this.isFile = false;
    this.#goneAtMs = this.nowMs;
  }

  #clearHold(): void {
    this.held = false;
    this.#act(() => {
      this.#holdMs = never;
    });
    if (this.state !== "held" && this.state !== "lost") return;
    this.state = "lingering";
    this.#emptyAtMs = this.nowMs;
  }

  tick(): void {
    if (this.ending) return;
    this.nowMs += tickMs;
    if (this.held && !this.isFile && this.nowMs === this.#goneAtMs + settleMs) this.#clearHold();
    for (const mark of this.#limits.warnAtMs)
      if (mark < this.#timeoutMs && this.nowMs === this.deadlineMs - mark) {
        this.#stands = true;
        this.said.push(`warned ${mark}, ${this.#cause}`);
      }
    if (this.nowMs === this.deadlineMs) this.ending = this.#cause;
    else if (this.state === "lingering" && this.nowMs === this.#emptyAtMs + this.#limits.lingerMs)
      this.ending = "last client left";
  }
}
