/**
 * About: what Converge is, how a connection is made, and what may be relied on. Text and one
 * drawing; it knows no session.
 */
import type { JSX } from "preact";
import type { SessionsFor } from "./layout.tsx";
import { peerNames, peerRows, peersDate, publicList } from "./peers.ts";
import { Scroll } from "./scroll.tsx";

/** The five steps, in the order in which they happen; the drawing has the same numbers. */
function Drawing(): JSX.Element {
  return (
    <figure class="drawing">
      <Scroll label="Drawing">
        <svg viewBox="0 0 960 300" role="img" aria-labelledby="drawing-title drawing-text">
          <title id="drawing-title">How a connection is made</title>
          <desc id="drawing-text">
            The agent in the CI job and the ssh client on your laptop both dial out to the relay.
            The relay joins them by their rendez-vous id. One ssh connection, encrypted from end to
            end, runs through it.
          </desc>
          <rect class="d-tube" x="120" y="196" width="720" height="44" rx="22" />
          <text class="d-text" x="480" y="224" text-anchor="middle">
            one ssh connection, end-to-end encrypted
          </text>
          <rect class="d-box" x="20" y="60" width="230" height="200" rx="14" />
          <text class="d-text" x="135" y="92" text-anchor="middle">
            Your laptop
          </text>
          <text class="d-small" x="135" y="122" text-anchor="middle">
            ssh, sftp, VS Code
          </text>
          <text class="d-small" x="135" y="148" text-anchor="middle">
            wsproxy
          </text>
          <rect class="d-box" x="385" y="60" width="190" height="110" rx="14" />
          <text class="d-text" x="480" y="92" text-anchor="middle">
            The relay
          </text>
          <text class="d-small" x="480" y="122" text-anchor="middle">
            joins by id,
          </text>
          <text class="d-small" x="480" y="148" text-anchor="middle">
            copies bytes
          </text>
          <rect class="d-box" x="710" y="60" width="230" height="200" rx="14" />
          <text class="d-text" x="825" y="92" text-anchor="middle">
            The CI job
          </text>
          <text class="d-small" x="825" y="122" text-anchor="middle">
            agent: ssh + sftp server
          </text>
          <text class="d-small" x="825" y="148" text-anchor="middle">
            your shell
          </text>
          <rect class="d-tube" x="136" y="196" width="688" height="44" rx="22" />
          <path class="d-line" d="M704 84H588M588 84l10-6M588 84l10 6" />
          <path class="d-line" d="M256 84H372M372 84l-10-6M372 84l-10 6" />
          <path class="d-line" d="M588 122H704M704 122l-10-6M704 122l-10 6" />
          <path class="d-line" d="M704 156H588M588 156l10-6M588 156l10 6" />
          {(
            [
              [646, 84, 1],
              [314, 84, 2],
              [646, 122, 3],
              [646, 156, 4],
              [480, 260, 5],
            ] as const
          ).map(([x, y, n]) => (
            <g key={n}>
              <circle class="d-fill" cx={x} cy={y} r="14" />
              <text class="d-num" x={x} y={y + 5.5} text-anchor="middle">
                {n}
              </text>
            </g>
          ))}
        </svg>
      </Scroll>
      <figcaption class="unseen">Five steps, explained in the list below.</figcaption>
    </figure>
  );
}

export function AboutPage({ sessionsFor }: { sessionsFor: SessionsFor }): JSX.Element {
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
      <Drawing />

      <h2 id="how">How a connection is made</h2>
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
          <b>ssh talks to the agent's own ssh server.</b> Keys are exchanged between those two. The
          relay copies what it cannot read until one of them hangs up.
        </li>
      </ol>

      <h2 id="security">Security</h2>
      <ul>
        <li>
          <b>End to end.</b> The encryption is ssh's own, from your client to the agent. The relay
          holds no key.
        </li>
        <li>
          <b>Public keys only.</b> The job says whose, in OpenSSH's <code>authorized_keys</code>{" "}
          format or by a URL such as a forge's list. No password, no shared secret, no open session.
        </li>
        <li>
          <b>The agent's host key can be proven.</b> The job's log prints its fingerprint, and{" "}
          <code>wsproxy --fingerprint</code> refuses any other key before you log in.
        </li>
        <li>
          <b>No more rights than the job has.</b> The agent is a process of the job. When it ends,
          what its sessions started ends too.
        </li>
        <li>
          <b>Nothing is stealthy.</b> Who is connected, from where and for how long is in the job's
          log, in that of the relay
          {sessionsFor === "nobody" ? (
            ". "
          ) : (
            <>
              {" "}
              and on the <a href="sessions">sessions page</a>
              {sessionsFor === "everybody" ? ", for everybody to see. " : ". "}
            </>
          )}
          What they type is nowhere.
        </li>
      </ul>
      <p>
        What the relay's operator can still do is in the <a href="faq#operator">FAQ</a>.
      </p>

      <h2 id="ssh">ssh and sftp, all of it</h2>
      <p>
        Shells with a terminal, commands with input, output and exit status, sftp, scp, rsync, git,
        forwarding of ports, sockets and the ssh-agent, several sessions over one connection, and VS
        Code Remote-SSH. There is no wrapper to learn: the program is your own <code>ssh</code>.
      </p>

      <h2 id="timeouts">Time-outs and activity</h2>
      <p>
        A session ends by itself after ten minutes without activity; <code>--timeout</code> changes
        that. Until somebody logs in, the same time counts (<code>--join-timeout</code>).
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
          <code>touch -d '+2 hours' $agentdir/.hold</code>: a time in the future puts the end off.
        </li>
        <li>
          <code>rm $agentdir/.hold</code>: the job goes on when nobody is there.
        </li>
      </ul>

      <h2 id="notices">You are told before anything happens</h2>
      <p>
        Five minutes, one minute and ten seconds before the end a line appears in every terminal;
        pressing any key is enough to stay. So do lines when somebody joins or leaves, when{" "}
        <code>.hold</code> is set or removed, and when the relay is lost and found. They never reach
        the output of a command or a file transfer.
      </p>

      <h2 id="shells">Shells</h2>
      <p>
        You get the account's shell, else the first of bash, zsh, fish, ash, dash, ksh and sh; on
        Windows pwsh, powershell, cmd or bash. <code>--shells zsh,/opt/bin/fish</code> puts others
        in front. The shell has the job's environment and starts in the job's folder.
      </p>

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
