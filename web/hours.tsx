/**
 * Hours: a small picture of how many agents and clients there were in the last hours, as bars. It
 * knows numbers only; a screen reader is told what there is now and the most that there was.
 */
import type { JSX } from "preact";
import { type History, stepMs, stepsMost } from "../src/actors/observe/history.ts";

const height = 40;

/** Bars on the right, since what was before the relay started nobody knows. */
function barsOf(counts: readonly number[]): string {
  const most = Math.max(1, ...counts);
  const left = stepsMost - counts.length;
  return counts
    .map((count, i) => {
      const y = height - Math.ceil((count / most) * (height - 2));
      return count === 0 ? "" : `M${(left + i) * 10} ${height}V${y}h8V${height}`;
    })
    .join("");
}

function Bars({ name, counts }: { name: string; counts: readonly number[] }): JSX.Element {
  const said = `${name}: ${counts.at(-1) ?? 0} now, ${Math.max(0, ...counts)} at most`;
  return (
    <div>
      <p>{said}</p>
      <svg
        viewBox={`0 0 ${stepsMost * 10} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={said}
      >
        <path class="h-line" d={`M0 ${height - 0.5}H${stepsMost * 10}`} />
        <path class="h-bars" d={barsOf(counts)} />
      </svg>
    </div>
  );
}

export function Hours({ history }: { history: History }): JSX.Element {
  const { since, agents, clients } = history;
  const hours = (stepsMost * stepMs) / 3_600_000;
  const isWhole = agents.length >= stepsMost;
  return (
    <figure class="hours">
      <figcaption>
        {isWhole
          ? `The last ${hours} hours`
          : `The last ${hours} hours; this relay started at ${since.slice(11, 16)} UTC`}
      </figcaption>
      <Bars name="Agents" counts={agents} />
      <Bars name="Clients" counts={clients} />
    </figure>
  );
}
