/**
 * Drawing: how a connection is made, in five steps; lying where there is room, upright on a phone. The
 * list beside it has the same numbers.
 */
import type { JSX } from "preact";

const described =
  "The agent in the CI job and the ssh client on your laptop both dial out to the relay. The relay joins them by their rendez-vous id. One ssh connection, encrypted from end to end, runs through it.";

type Places = readonly (readonly [x: number, y: number, n: number])[];
const lyingNumbers: Places = [
  [646, 84, 1],
  [314, 84, 2],
  [646, 122, 3],
  [646, 156, 4],
  [480, 260, 5],
];
const uprightNumbers: Places = [
  [60, 138, 1],
  [60, 312, 2],
  [110, 138, 3],
  [160, 138, 4],
  [274, 225, 5],
];

function Numbers({ at }: { at: Places }): JSX.Element {
  return (
    <>
      {at.map(([x, y, n]) => (
        <g key={n}>
          <circle class="d-fill" cx={x} cy={y} r="14" />
          <text class="d-num" x={x} y={y + 5.5} text-anchor="middle">
            {n}
          </text>
        </g>
      ))}
    </>
  );
}

/** Name and two small lines in a box. */
function Box(props: {
  x: number;
  y: number;
  width: number;
  height: number;
  words: readonly string[];
}): JSX.Element {
  const { x, y, width, height, words } = props;
  const at = (i: number): number => y + 30 + i * 26;
  return (
    <>
      <rect class="d-box" x={x} y={y} width={width} height={height} rx="14" />
      {words.map((word, i) => (
        <text
          key={word}
          class={i === 0 ? "d-text" : "d-small"}
          x={x + width / 2}
          y={at(i)}
          text-anchor="middle"
        >
          {word}
        </text>
      ))}
    </>
  );
}

const laptop = ["Your laptop", "ssh, sftp, VS Code", "wsproxy"];
const relay = ["The relay", "joins by id,", "copies bytes"];
const job = ["The CI job", "agent: ssh + sftp server", "your shell"];

function Lying(): JSX.Element {
  return (
    <svg class="lying" viewBox="0 40 960 240" role="img" aria-label={described}>
      <Box x={20} y={60} width={230} height={200} words={laptop} />
      <Box x={385} y={60} width={190} height={110} words={relay} />
      <Box x={710} y={60} width={230} height={200} words={job} />
      <rect class="d-tube" x="136" y="196" width="688" height="44" rx="22" />
      <text class="d-text" x="480" y="224" text-anchor="middle">
        one ssh connection, end-to-end encrypted
      </text>
      <path class="d-line" d="M704 84H588M588 84l10-6M588 84l10 6" />
      <path class="d-line" d="M256 84H372M372 84l-10-6M372 84l-10 6" />
      <path class="d-line" d="M588 122H704M704 122l-10-6M704 122l-10 6" />
      <path class="d-line" d="M704 156H588M588 156l10-6M588 156l10 6" />
      <Numbers at={lyingNumbers} />
    </svg>
  );
}

function Upright(): JSX.Element {
  return (
    <svg class="upright" viewBox="0 0 320 450" role="img" aria-label={described}>
      <Box x={4} y={4} width={312} height={102} words={job} />
      <Box x={4} y={172} width={212} height={106} words={relay} />
      <Box x={4} y={344} width={312} height={102} words={laptop} />
      <rect class="d-tube" x="252" y="74" width="44" height="302" rx="22" />
      <text class="d-small" transform="translate(240 225) rotate(-90)" text-anchor="middle">
        one ssh, end to end
      </text>
      <path class="d-line" d="M60 112V166M60 166l-6-10M60 166l6-10" />
      <path class="d-line" d="M110 166V112M110 112l-6 10M110 112l6 10" />
      <path class="d-line" d="M160 112V166M160 166l-6-10M160 166l6-10" />
      <path class="d-line" d="M60 338V284M60 284l-6 10M60 284l6 10" />
      <Numbers at={uprightNumbers} />
    </svg>
  );
}

export function Drawing(): JSX.Element {
  return (
    <figure class="drawing">
      <Lying />
      <Upright />
      <figcaption class="unseen">Five steps, explained in the list.</figcaption>
    </figure>
  );
}
