/**
 * Snippets: what the choices come to, as blocks to copy. Rendered by the relay and, at every
 * change of the form, by the `usage` island. For a job that runs, the way into it comes first.
 */
import type { JSX } from "preact";
import { type Choices, isOfRun, platforms, writeChoices } from "./choices.ts";
import { CodeBlock } from "./code-block.tsx";
import { type Commands, commandsFor, type Snippet } from "./commands.ts";
import { systems } from "./systems.ts";
import type { Admission } from "./tokens.ts";

const files = ["sftp", "scp", "rsync"];

/** What goes into the job. */
export function InJob({ commands }: { commands: Commands }): JSX.Element {
  const { job, where, admission, beside } = commands;
  return (
    <>
      <p>{where}</p>
      {admission && <p class="note">{admission}</p>}
      {beside && <CodeBlock {...beside} />}
      <CodeBlock {...job} />
    </>
  );
}

/** What goes into a terminal. */
function OnYourMachine({ commands: { install, client } }: { commands: Commands }): JSX.Element {
  const blocks = (wanted: (snippet: Snippet) => boolean): JSX.Element[] =>
    client.filter(wanted).map((snippet) => <CodeBlock key={snippet.id} {...snippet} />);
  const isUnchecked = client[0]?.isUnchecked;
  return (
    <>
      <CodeBlock {...install} />
      {blocks(({ id }) => id === "ssh")}
      {isUnchecked && (
        <p class="note">
          <b>Unchecked</b> means that nothing proves that the job itself answers. The job's log
          prints the same command with its fingerprint, and a link to this page that has it too.
        </p>
      )}
      <h3>Files</h3>
      {blocks(({ id }) => files.includes(id))}
      <h3>Short names, editors</h3>
      {blocks(({ id }) => id !== "ssh" && !files.includes(id))}
    </>
  );
}

export function Snippets(props: {
  choices: Choices;
  base: string;
  admission: Admission;
}): JSX.Element {
  const { choices, base, admission } = props;
  const commands = commandsFor(choices, base, admission);
  const wrong = Object.keys(commands.problems) as (keyof Choices)[];
  const query = writeChoices(choices);
  const isRunning = isOfRun(choices);
  const inJob = <InJob commands={commands} />;
  const onYourMachine = <OnYourMachine commands={commands} />;
  return (
    <>
      <p class="chosen">
        {isRunning
          ? `Into a job that runs, from ${platforms[choices.clientOs]}. `
          : `${systems[choices.ci].label} on ${platforms[choices.agentOs]}, you on ${platforms[choices.clientOs]}. `}
        <a href="#choices">Change it</a>
      </p>
      {wrong.length > 0 && (
        <p class="note problems" role="alert">
          <b>Left out of the commands:</b>{" "}
          {wrong.map((name, i) => (
            <span key={name}>
              {i > 0 && ", "}
              <a href={`#${name}`}>{fieldNames[name]}</a>
            </span>
          ))}
          . The form says why.
        </p>
      )}
      {isRunning ? (
        <>
          <h2>On your machine</h2>
          {onYourMachine}
          <details class="more">
            <summary>Put it into another job</summary>
            {inJob}
          </details>
        </>
      ) : (
        <>
          <h2>1. In the job</h2>
          {inJob}
          <h2>2. On your machine</h2>
          {onYourMachine}
        </>
      )}
      {choices.insecure && (
        <p class="note problems">
          Without a check of the certificate anybody on the way can put another program into your
          job. <code>--ca FILE</code> on both sides trusts just your own authority.
        </p>
      )}
      <h2>Keep these choices</h2>
      <p>
        This browser remembers them in a cookie (<a href="usage?reset">forget them</a>). A link for
        your colleagues:
      </p>
      <CodeBlock
        id="link"
        label="Link to this page"
        code={`${base}/usage${query && `?${query}`}`}
      />
    </>
  );
}

/** What each field is called, as its label says. */
export const fieldNames: Record<keyof Choices, string> = {
  ci: "CI system",
  agentOs: "The job runs on",
  clientOs: "Your machine",
  idFrom: "Rendez-vous id",
  id: "Id",
  runId: "Its value in your run",
  keys: "Who may log in",
  keyUrl: "URL of public keys",
  keyFile: "Path of the keys file",
  keyText: "Public keys",
  shells: "Shells to try first",
  timeout: "End after so long without activity",
  warn: "Warn so long before the end",
  insecure: "Certificate",
  fingerprint: "Host key fingerprint",
};
