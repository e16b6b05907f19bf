/**
 * About: what a session looks like, how a connection is made, and what may be relied on. It knows no
 * session that there is.
 */
import type { JSX } from "preact";
import { defaults } from "./choices.ts";
import { commandsFor } from "./commands.ts";
import { Drawing } from "./drawing.tsx";
import type { SessionsFor } from "./layout.tsx";
import { peerNames, peerRows, peersDate, publicList } from "./peers.ts";
import { Scene } from "./scene.tsx";
import { Scroll } from "./scroll.tsx";
import { InJob } from "./snippets.tsx";
import type { Admission } from "./tokens.ts";

export function AboutPage(props: {
  base: string;
  admission: Admission;
  sessionsFor: SessionsFor;
}): JSX.Element {
  const { base, admission, sessionsFor } = props;
  const compared = peerRows.filter(([what]) => what !== publicList || sessionsFor !== "nobody");
  return (
    <>
      <h1>A real ssh session into a running CI job</h1>
      <p class="lede">
        The build fails on a machine that you cannot reach. With Converge you are in it, with your
        own ssh, sftp, rsync and editor, through a relay that cannot read a byte.
      </p>
      <p class="actions">
        <a class="button" href="usage">
          Make my two commands
        </a>{" "}
        {sessionsFor !== "nobody" && (
          <a class="button plain" href="sessions">
            See who is connected
          </a>
        )}
      </p>
      <Scene base={base} />
      <section class="first" aria-labelledby="first">
        <h2 id="first">All that a GitHub job needs</h2>
        <InJob commands={commandsFor(defaults, base, admission)} />
        <p>
          <a href="guides">Guides</a> for GitHub, GitLab, Jenkins, CircleCI, Azure and Buildkite;{" "}
          <a href="usage">Usage</a> for the rest.
        </p>
      </section>

      <h2 id="how">How a connection is made</h2>
      <div class="how">
        <Drawing />
        <ol class="steps">
          <li>
            <b>The job starts an agent.</b> It dials out to this relay over one HTTP(S) port and
            registers a <i>rendez-vous id</i>. It needs no root and no inbound network.
          </li>
          <li>
            <b>You start ssh.</b> Its proxy command, <code>wsproxy</code>, dials the relay with the
            same id.
          </li>
          <li>
            <b>The relay asks the agent</b> to come for you, with a ticket that is good once.
          </li>
          <li>
            <b>The agent dials back</b>, and the relay joins the two links.
          </li>
          <li>
            <b>ssh talks to the agent's own ssh server.</b> Keys are exchanged between those two.
            The relay copies what it cannot read until one of them hangs up.
          </li>
        </ol>
      </div>
      <div class="topics">
        <section>
          <h2 id="security">Security</h2>
          <ul>
            <li>
              <b>End to end.</b> The encryption is ssh's own, from your client to the agent. The
              relay holds no key.
            </li>
            <li>
              <b>Public keys only.</b> The job says whose, in OpenSSH's <code>authorized_keys</code>{" "}
              format or by a URL such as a forge's list. No password, no shared secret, no open
              session.
            </li>
            <li>
              <b>The agent's host key can be proven.</b> The job's log prints its fingerprint, and{" "}
              <code>wsproxy --fingerprint</code> refuses any other key before you log in.
            </li>
            <li>
              <b>No more rights than the job has.</b> The agent is a process of the job. When it
              ends, what its sessions started ends too.
            </li>
            <li>
              <b>Nothing is stealthy.</b> Who is connected, from where and for how long is in the
              job's log
              {sessionsFor === "nobody" ? (
                " and in that of the relay. "
              ) : (
                <>
                  , in that of the relay and on the <a href="sessions">sessions page</a>
                  {sessionsFor === "everybody" ? ", for everybody to see. " : ". "}
                </>
              )}
              What they type is nowhere.
            </li>
          </ul>
          <p>
            What the relay's operator can still do is in the <a href="faq#operator">FAQ</a>.
          </p>
        </section>
        <section>
          <h2 id="ssh">ssh and sftp, all of it</h2>
          <p>
            Shells with a terminal, commands with input, output and exit status, sftp, scp, rsync,
            git, forwarding of ports, sockets and the ssh-agent, several sessions over one
            connection, and VS Code Remote-SSH. There is no wrapper to learn: the program is your
            own <code>ssh</code>.
          </p>
        </section>
        <section>
          <h2 id="timeouts">Time-outs and activity</h2>
          <p>
            A session ends by itself after ten minutes without activity; <code>--timeout</code>{" "}
            changes that. Until somebody logs in, the same time counts (<code>--join-timeout</code>
            ).
          </p>
          <Scroll label="What counts as activity">
            <table>
              <thead>
                <tr>
                  <th scope="col">Activity</th>
                  <th scope="col">Not activity</th>
                </tr>
              </thead>
              <tbody>
                <tr>
                  <td>Keys that you press in a terminal</td>
                  <td>
                    What the terminal prints: <code>tail -f</code> ends
                  </td>
                </tr>
                <tr>
                  <td>Everything that sftp answers</td>
                  <td>Keep-alives</td>
                </tr>
                <tr>
                  <td>Input and output of a command without a terminal; forwarded bytes</td>
                  <td>Forwarding of the ssh-agent</td>
                </tr>
                <tr>
                  <td>
                    A login; touching <code>.hold</code>
                  </td>
                  <td>Converge's own notices; failed logins</td>
                </tr>
              </tbody>
            </table>
          </Scroll>
        </section>
        <section>
          <h2 id="hold">Stay, or come back later: .hold</h2>
          <p>
            When the last client leaves, the job goes on. A file <code>.hold</code> in the agent's
            folder makes it wait for the next one, still within the time-out:
          </p>
          <ul>
            <li>
              <code>touch $agentdir/.hold</code>, then leave: the job waits.
            </li>
            <li>
              <code>touch -d '+2 hours' $agentdir/.hold</code>: a time in the future puts the end
              off.
            </li>
            <li>
              <code>rm $agentdir/.hold</code>: the job goes on when nobody is there.
            </li>
          </ul>
        </section>
        <section>
          <h2 id="notices">You are told before anything happens</h2>
          <p>
            Five minutes, one minute and ten seconds before the end a line appears in every
            terminal; pressing any key is enough to stay. So do lines when somebody joins or leaves,
            when <code>.hold</code> is set or removed, and when the relay is lost and found. They
            never reach the output of a command or a file transfer.
          </p>
        </section>
        <section>
          <h2 id="shells">Shells</h2>
          <p>
            You get the account's shell, else the first of bash, zsh, fish, ash, dash, ksh and sh;
            on Windows pwsh, powershell, cmd or bash. <code>--shells zsh,/opt/bin/fish</code> puts
            others in front. The shell has the job's environment and starts in the job's folder.
          </p>
        </section>
      </div>

      <h2 id="compared">Other tools</h2>
      <p>
        Each is good at something, and all of them change, so look again before you decide. This is
        what their documents and sources said in {peersDate}:
      </p>
      <Scroll label="Comparison">
        <table class="wide">
          <caption class="unseen">Converge and other tools, {peersDate}</caption>
          <thead>
            <tr>
              <td />
              {peerNames.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {compared.map(([what, ...cells]) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                {cells.map((cell, i) => (
                  <td key={peerNames[i]}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <p>
        Take <b>upterm</b> for one screen that several people share, or where nothing may be
        installed on your own machine; <b>sshx</b> for a terminal in the browser with many people in
        it; <b>Breakpoint</b> where the job may use UDP and you want to install nothing;{" "}
        <b>wstunnel</b> with a server of your own where you need any TCP port rather than a shell.
      </p>
    </>
  );
}
