/**
 * Snippets: what the choices come to, as blocks to copy. Rendered by the relay and, at every
 * change of the form, by the `usage` island.
 */
import type { JSX } from "preact";
import { type Choices, writeChoices } from "./choices.ts";
import { CodeBlock } from "./code-block.tsx";
import { commandsFor } from "./commands.ts";

export function Snippets({ choices, base }: { choices: Choices; base: string }): JSX.Element {
  const { job, where, install, client, problems } = commandsFor(choices, base);
  const sentences = Object.entries(problems);
  const query = writeChoices(choices);
  return (
    <>
      {sentences.length > 0 && (
        <div class="note problems" role="alert">
          <p>
            <b>Left out of the commands:</b>
          </p>
          <ul>
            {sentences.map(([name, sentence]) => (
              <li key={name}>
                <b>{fieldNames[name as keyof Choices]}.</b> {sentence}
              </li>
            ))}
          </ul>
        </div>
      )}
      <h2>1. In the job</h2>
      <p>{where}</p>
      <CodeBlock {...job} />
      <h2>2. On your machine</h2>
      <CodeBlock {...install} />
      {client.map((snippet) => (
        <CodeBlock key={snippet.id} {...snippet} />
      ))}
      {!choices.fingerprint && (
        <p class="note">
          The job's log prints the same ssh command with the agent's host key in it. Take that one,
          or put its fingerprint into the form, where you do not want to trust the relay.
        </p>
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
