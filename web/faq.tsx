/**
 * FAQ: honest answers, the threat model among them. Text only.
 */
import type { ComponentChildren, JSX } from "preact";
import type { SessionsFor } from "./layout.tsx";
import { Scroll } from "./scroll.tsx";

/** `id` is what links point at. */
function Question(props: { id: string; ask: string; children: ComponentChildren }): JSX.Element {
  return (
    <details id={props.id}>
      <summary>{props.ask}</summary>
      {props.children}
    </details>
  );
}

/** Why one may, or may not, see who is there: as this relay has it. */
const seeing: Record<SessionsFor, { ask: string; answer: string }> = {
  everybody: {
    ask: "Why is the list of sessions public?",
    answer:
      "So that nobody can be in a job unseen. It shows that a session exists, never what happens in it. Host names, user names and key comments appear there: choose ones that you may show.",
  },
  "holders of the token": {
    ask: "Who sees the list of sessions?",
    answer:
      "Who has the token of its page. It shows that a session exists, never what happens in it: host names, user names and key comments, so choose ones that you may show.",
  },
  nobody: {
    ask: "Who sees which sessions there are?",
    answer:
      "The administrator of this relay, in its log, and the people in a session, who are told who comes and goes. There is no list of them here.",
  },
};

export function FaqPage({ sessionsFor }: { sessionsFor: SessionsFor }): JSX.Element {
  return (
    <>
      <h1>Questions</h1>

      <h2>Trust</h2>
      <section id="operator" aria-labelledby="operator-title">
        <h3 id="operator-title">What can the relay's operator do?</h3>
        <Scroll label="What the operator can do">
          <table>
            <thead>
              <tr>
                <th scope="col">Attempt</th>
                <th scope="col">Works?</th>
              </tr>
            </thead>
            <tbody>
              <tr>
                <td>Read what you type, see, copy or forward</td>
                <td>
                  No. It is encrypted by ssh between your client and the agent, with keys that the
                  relay never has.
                </td>
              </tr>
              <tr>
                <td>Change it on the way</td>
                <td>No. ssh notices and ends the connection.</td>
              </tr>
              <tr>
                <td>Put an agent of its own in the middle</td>
                <td>
                  No, if you use the command from the job's log: it names the host key. Yes, if you
                  leave <code>--fingerprint</code> out, for then nobody checks.
                </td>
              </tr>
              <tr>
                <td>Log in to the job itself</td>
                <td>
                  No. It has no key that the job accepts. <code>from="…"</code> in a key's options
                  is believed from the relay, so it narrows nothing against the operator.
                </td>
              </tr>
              <tr>
                <td>See ids, addresses, host names, times, sizes, the rhythm of keystrokes</td>
                <td>
                  Yes.{" "}
                  {sessionsFor === "everybody" &&
                    "Ids, hosts and addresses are shown to everybody here."}
                </td>
              </tr>
              <tr>
                <td>Cut, delay or refuse connections</td>
                <td>Yes. The job ends by its time-out even then.</td>
              </tr>
              <tr>
                <td>Serve you or the job a changed program</td>
                <td>
                  Yes, as anybody who serves downloads can. Pin their SHA-256 from another source,
                  or build them yourself.
                </td>
              </tr>
            </tbody>
          </table>
        </Scroll>
        <p>If that is too much trust, run your own: it is one program and needs no database.</p>
      </section>
      <Question id="strangers" ask="Can a stranger who knows the id get in?">
        <p>
          No. The id only leads to the agent's door. Behind it the agent wants a key from the job's
          list; there are no passwords. Whoever knocks without one is cut after 30 seconds.
        </p>
      </Question>
      <Question id="impostor" ask="Can somebody take my id?">
        <p>
          While your agent has it, the next one that asks gets another id and says so loudly. After
          a lost link your agent proves that it is the same one and gets its id back; for 24 hours
          nobody else does. A random id that the agent chose itself is bound to the agent's key,
          even when the relay was restarted.
        </p>
      </Question>
      <Question id="inside" ask="What can somebody do who is logged in?">
        <p>
          What the job can: read its files and its environment, its secrets too, and use its
          network. Give access as you would give the job's secrets. sftp is not a jail.{" "}
          <code>--read-only</code>, <code>--no-exec</code>, <code>--no-port-forwarding</code> and
          the options of each key narrow it.
        </p>
      </Question>
      <Question id="public" ask={seeing[sessionsFor].ask}>
        <p>{seeing[sessionsFor].answer}</p>
      </Question>
      <Question id="privacy" ask="What does this site keep about me?">
        <p>
          A cookie with the choices you made on the <a href="usage">usage page</a>, in your browser.
          The relay logs the facts of sessions: ids, addresses, times, bytes and the name of the
          key. No page asks anything from a third party.
        </p>
      </Question>

      <h2>Using it</h2>
      <Question id="denied" ask="ssh says “Permission denied (publickey)”">
        <p>
          You reached the agent, and it does not know your key. The job's log names the fingerprint
          that it refused. Append the public key to <code>$agentdir/.authorized_keys</code> (it is
          read at every login), or offer another one with <code>-i</code>.
        </p>
      </Question>
      <Question id="no-agent" ask="wsproxy says that there is no such agent">
        <p>
          The job has not come so far, has ended, or got another id because this one was taken. Look
          at{" "}
          {sessionsFor === "nobody" ? (
            "the job's log"
          ) : (
            <>
              the <a href="sessions">sessions page</a>
            </>
          )}
          . <code>wsproxy --wait 30m</code> waits for a job that is still in the queue.
        </p>
      </Question>
      <Question id="mismatch" ask="wsproxy says that the host key is another one">
        <p>
          Each run of a job has a new key, so an old command does not fit a new run: take the one
          from the run's own log. If you did that, do not go on: something between you and the job
          answered in its place.
        </p>
      </Question>
      <Question id="minutes" ask="Does a forgotten session burn CI minutes?">
        <p>
          Not for long. It ends ten minutes after the last activity, and output alone is none. With{" "}
          <code>--max-duration</code> it ends whatever happens; the CI's own limit counts as well.
        </p>
      </Question>
      <Question id="status" ask="Does the job fail or pass afterwards?">
        <p>
          The agent ends with status 0 when the last client has left, and when nobody came (
          <code>--exit-code-on-timeout</code> changes that one). The step that failed before keeps
          its own result.
        </p>
      </Question>
      <Question id="proxy" ask="Does it work behind a company's proxy?">
        <p>
          Yes: <code>HTTPS_PROXY</code>, <code>HTTP_PROXY</code>, <code>ALL_PROXY</code> and{" "}
          <code>NO_PROXY</code> are honoured on both sides, and <code>--ca FILE</code> trusts an
          authority of your own.
        </p>
      </Question>
      <Question id="cut" ask="What happens when my network drops?">
        <p>
          Your ssh goes on when it is back, on another address too, and when the relay was restarted
          meanwhile: nothing that was typed or printed is lost. The shell is kept for ten minutes (
          <code>--resume-timeout</code>), and the job's time-out runs on. Work that must survive for
          longer belongs in <code>tmux</code> or <code>screen</code>.
        </p>
      </Question>
      <Question id="systems" ask="Which systems does it run on?">
        <p>
          Linux is tested. Windows is run under Wine in tests, and on Microsoft's Windows by nobody
          here yet; the code for macOS is written and has not been run there.
        </p>
      </Question>
    </>
  );
}
