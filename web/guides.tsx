/**
 * Guides: one task each, from its beginning to its end. What a guide to a CI system has to be put
 * into the job is made for this very relay, as on the usage page.
 */
import type { ComponentChildren, JSX } from "preact";
import { type Choices, defaults } from "./choices.ts";
import { CodeBlock } from "./code-block.tsx";
import { commandsFor } from "./commands.ts";
import type { Head, SessionsFor } from "./layout.tsx";
import { OfficerGuide, RelayGuide } from "./relay-guides.tsx";
import { InJob } from "./snippets.tsx";
import { systems } from "./systems.ts";
import type { Admission } from "./tokens.ts";

interface GuideFacts {
  readonly base: string;
  readonly admission: Admission;
  readonly sessionsFor: SessionsFor;
}
interface Guide extends Head {
  content(facts: GuideFacts): JSX.Element;
}

const ciNames = ["github", "gitlab", "jenkins", "circleci", "azure", "buildkite"] as const;
type CiName = (typeof ciNames)[number];

/** What is peculiar to each, as it matters here. */
const peculiar: Record<CiName, readonly string[]> = {
  github: [
    "Who may log in is whoever started the run, with the keys of that account.",
    "The job's own limit goes on: timeout-minutes, and six hours on GitHub's machines.",
  ],
  gitlab: [
    "Who may log in is whoever started the pipeline, with the keys of that account.",
    "GitLab gives after_script five minutes, unless RUNNER_AFTER_SCRIPT_TIMEOUT says more. It must stay below the job's own timeout.",
  ],
  jenkins: [
    "Jenkins does not tell whose keys those are: put the public keys into a file of the repository.",
    "post runs on the machine of the stage while its workspace is still there. A timeout option of the pipeline counts on.",
  ],
  circleci: [
    "Who may log in is whoever started the pipeline, with the keys of that GitHub account.",
    "CircleCI ends a step that prints nothing for ten minutes; no_output_timeout puts that off.",
  ],
  azure: [
    "Azure does not tell whose keys those are: put the public keys into a file of the repository.",
    "A job may take 60 minutes, unless its timeoutInMinutes says more.",
  ],
  buildkite: [
    "Buildkite does not tell whose keys those are: put the public keys into a file of the repository.",
    "The hook runs after each command of the repository, and ends at once unless the command failed.",
  ],
};

function Steps({ children }: { children: ComponentChildren }): JSX.Element {
  return <ol class="steps">{children}</ol>;
}

function CiGuide({ ci, base, admission }: GuideFacts & { ci: CiName }): JSX.Element {
  const { label, actorKeys } = systems[ci];
  const choices: Choices = {
    ...defaults,
    ci,
    ...(actorKeys === null ? { keys: "file", keyFile: "ci/authorized_keys" } : {}),
  };
  const commands = commandsFor(choices, base, admission);
  return (
    <>
      <h1>{`Debug a failed job of ${label}`}</h1>
      <p class="lede">
        The job stays alive when it has failed, and you look around in it with your own ssh.
      </p>
      <Steps>
        <li>
          <b>Put this into the job.</b> For other keys, systems or time-outs{" "}
          <a href={`../usage?ci=${ci}`}>change it</a>.
          <InJob commands={commands} />
        </li>
        <li>
          <b>Once: get wsproxy</b> onto your own machine.
          <CodeBlock {...commands.install} />
        </li>
        <li>
          <b>Let it fail, and open its log.</b> At the end of the log is a box with an ssh command,
          which has the job's fingerprint in it. Paste that one into your terminal.
        </li>
        <li>
          <b>Look around.</b> You are in the job's folder with the job's environment. Ten minutes
          without a key pressed end it; you are warned before.
        </li>
        <li>
          <b>Leave.</b> When the last one has left, the job goes on and fails as it would have.{" "}
          <code>touch $agentdir/.hold</code> before that keeps it waiting for you.
        </li>
      </Steps>
      <h2>{`With ${label}`}</h2>
      <ul>
        {peculiar[ci].map((sentence) => (
          <li key={sentence}>{sentence}</li>
        ))}
      </ul>
    </>
  );
}

const ofCi = (ci: CiName): Guide => ({
  title: `Debug a failed job of ${systems[ci].label}`,
  description: `Enter a failed job of ${systems[ci].label} with your own ssh: the lines for the job, and what to paste.`,
  content: (facts) => <CiGuide ci={ci} {...facts} />,
});

export const guides: Readonly<Record<CiName | "relay" | "security", Guide>> = {
  github: ofCi("github"),
  gitlab: ofCi("gitlab"),
  jenkins: ofCi("jenkins"),
  circleci: ofCi("circleci"),
  azure: ofCi("azure"),
  buildkite: ofCi("buildkite"),
  relay: {
    title: "A relay for 500 developers",
    description: "What machine it takes, how it is installed, watched and upgraded.",
    content: () => <RelayGuide />,
  },
  security: {
    title: "For your security officer",
    description: "What a relay can see, who gets into a job, what is logged, and how to narrow it.",
    content: ({ sessionsFor }) => <OfficerGuide sessionsFor={sessionsFor} />,
  },
};
export const guideNames = Object.keys(guides) as (keyof typeof guides)[];

export function GuidesPage(): JSX.Element {
  return (
    <>
      <h1>Guides</h1>
      <p class="lede">One task each, from its beginning to its end.</p>
      <ul class="cards">
        {guideNames.map((name) => (
          <li key={name}>
            <a href={`guides/${name}`}>{guides[name].title}</a>
            <small>{guides[name].description}</small>
          </li>
        ))}
      </ul>
    </>
  );
}
