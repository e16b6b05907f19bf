/**
 * Scene: what a session looks like, as text: the end of a job's log, and the terminal of who came.
 * The words are those of the agent; ids and keys are made up, and long ones are cut.
 */
import type { JSX } from "preact";

const rule = "=".repeat(42);

function Panel(props: { title: string; children: JSX.Element }): JSX.Element {
  return (
    <figure class="panel">
      <figcaption>{props.title}</figcaption>
      <pre>{props.children}</pre>
    </figure>
  );
}

/** `base` is the relay's URL: the commands are those that it would print. */
export function Scene({ base }: { base: string }): JSX.Element {
  return (
    <div class="scene">
      <Panel title="The job's log">
        <code>
          <i class="bad">✗ saves the time in UTC</i>
          {"\n  expected 12:00, got 13:00\n"}
          <i class="bad">Error: exit code 1</i>
          {`\n${rule}\n`}
          <b>{"  Converge: this job can be entered by ssh"}</b>
          {`\n\n  rendez-vous id   gh-8123456-1
  host key         SHA256:YXjYuGMCjhdjwJwYwzlJ…

  Linux, macOS: once, to get wsproxy; then to come in
  curl -fsSL ${base}/wsproxy.sh | sh
  ssh -oProxyCommand="wsproxy --fingerprint SHA2… job@gh-8123456-1

  Who may log in: one key
    SHA256:Q1dXz0v4… ana@laptop

  It ends at 14:05 UTC if nobody comes.
${rule}
`}
          <i class="quiet">converge: client joined: ana@laptop</i>
        </code>
      </Panel>
      <Panel title="Your terminal">
        <code>
          <b>ana@laptop:~$</b>
          {` curl -fsSL ${base}/wsproxy.sh | sh\nconverge: ~/.local/bin/wsproxy is installed.\n`}
          <b>ana@laptop:~$</b>
          {' ssh -oProxyCommand="wsproxy --fingerprint SHA2… job@gh-8123456-1\n'}
          <i class="note-line">
            [converge] You are in the job. Everybody sees that you are here, nobody what you type.
          </i>
          {"\n"}
          <b>runner@ci:~/app$</b>
          {" date +%Z\nCET\n"}
          <b>runner@ci:~/app$</b>
          {" TZ=UTC npm test\n"}
          <i class="good">✓ saves the time in UTC</i>
          {"\n"}
          <b>runner@ci:~/app$</b>
          {" exit\nConnection to gh-8123456-1 closed.\n"}
          <b>ana@laptop:~$</b> <span class="cursor" />
        </code>
      </Panel>
    </div>
  );
}
