/**
 * Relay guides: for who runs a relay, and for who must allow one. Text only; the whole of it, with
 * every flag and log line, is in docs/operating.md.
 */
import type { JSX } from "preact";
import { CodeBlock } from "./code-block.tsx";
import type { SessionsFor } from "./layout.tsx";
import { Scroll } from "./scroll.tsx";

const install = `npm ci && npm run build && npm prune --omit=dev
mkdir -p /opt/converge                     # this and the rest as root
cp -r package.json node_modules dist docs /opt/converge/
cp deploy/systemd/converge.service /etc/systemd/system/
printf '%s\\n' CONVERGE_LISTEN=127.0.0.1:8000 CONVERGE_METRICS_LISTEN=127.0.0.1:9100 \\
  CONVERGE_TRUST_PROXY=127.0.0.1 CONVERGE_PUBLIC_URL=https://relay.example.com > /etc/converge.env
systemctl daemon-reload && systemctl enable --now converge
`;

export function RelayGuide(): JSX.Element {
  return (
    <>
      <h1>A relay for 500 developers</h1>
      <p class="lede">One process on one small machine, without a database.</p>
      <h2>What it takes</h2>
      <Scroll label="What it takes">
        <table>
          <tbody>
            <tr>
              <th scope="row">500 developers</th>
              <td>
                a few hundred failed jobs that wait at the same time, and fewer people in them
              </td>
            </tr>
            <tr>
              <th scope="row">Memory</th>
              <td>80 MiB with nobody, 270 MiB with 4000 agents that wait: give it 1 GiB</td>
            </tr>
            <tr>
              <th scope="row">Processor</th>
              <td>one core; about 0.6 s of it for each GiB that goes through, without TLS</td>
            </tr>
            <tr>
              <th scope="row">Open files</th>
              <td>one for each agent, two for each client; the unit allows 65,536</td>
            </tr>
            <tr>
              <th scope="row">Network</th>
              <td>one port for everything, reached from the CI machines and from the developers</td>
            </tr>
          </tbody>
        </table>
      </Scroll>
      <h2>Install it</h2>
      <p>
        From the source, with Node 20, behind a proxy that speaks TLS (examples for nginx, haproxy,
        Caddy and Traefik are in <code>deploy/proxy</code>):
      </p>
      <CodeBlock id="install" label="On the server" code={install} />
      <p>
        There are a Dockerfile and a Helm chart too. Keep one replica: agents and clients meet
        inside one process.
      </p>
      <h2>Say who may use it</h2>
      <p>
        <code>--policy FILE</code> lets only jobs of your own CI register, by the tokens that it
        signs. The <a href="../usage">usage page</a> then writes what each job needs into its lines.
      </p>
      <h2>Watch it, and upgrade it</h2>
      <ul>
        <li>
          <code>/readyz</code> for the load balancer, <code>/healthz</code> for who restarts it,{" "}
          <code>/metrics</code> for Prometheus; a dashboard and alerts with a runbook are in{" "}
          <code>deploy</code>.
        </li>
        <li>
          At SIGTERM it tells everybody, lets sessions go on for <code>--drain-timeout</code>, and
          ends. Agents come back to the next one by themselves.
        </li>
        <li>Nothing is kept, so there is nothing to back up or to migrate.</li>
      </ul>
    </>
  );
}

const seen: Record<SessionsFor, string> = {
  everybody: "On this relay everybody may see that list.",
  "holders of the token": "On this relay that list is for who has its token.",
  nobody: "This relay shows that list to nobody.",
};

export function OfficerGuide({ sessionsFor }: { sessionsFor: SessionsFor }): JSX.Element {
  return (
    <>
      <h1>For your security officer</h1>
      <p class="lede">What it opens, for whom, what is written down, and how to narrow it.</p>
      <h2>What it opens</h2>
      <ul>
        <li>No inbound port. The job and the developer both dial out to the relay, over HTTPS.</li>
        <li>
          A shell with the rights of the job, no more: with its files, its environment and its
          secrets, for as long as the job runs.
        </li>
        <li>
          Ten minutes without activity end it. <code>--max-duration</code> ends it whatever happens.
        </li>
      </ul>
      <h2>For whom</h2>
      <ul>
        <li>
          Public keys only, from a list that the job names. There is no password, and an id leads to
          the agent's door and not through it.
        </li>
        <li>
          The job's log prints the host key's fingerprint. With <code>--fingerprint</code> nobody
          can put himself in between, the relay's operator included.
        </li>
        <li>
          <code>--policy</code> lets only those agents register that have a token of yours, or one
          that your CI signed, with the claims that you name.
        </li>
      </ul>
      <h2>What the relay can see</h2>
      <ul>
        <li>
          Ids, addresses, host and user names, the comment of a key, times and numbers of bytes.
        </li>
        <li>
          Never what is typed, shown or copied: that is encrypted by ssh between the two ends, with
          keys that the relay never has. The table of attempts is in the{" "}
          <a href="../faq#operator">FAQ</a>.
        </li>
        <li>Who is connected is listed, so that nobody is in a job unseen. {seen[sessionsFor]}</li>
      </ul>
      <h2>What is written down</h2>
      <p>
        Each session is one line of JSON at its end: agent, address, key, what kinds of channel,
        since when, how long, how many bytes, how it ended. Refusals have a line with the reason.
        The relay keeps none of it: your collector does.
      </p>
      <h2>How to narrow it</h2>
      <ul>
        <li>
          In the job: <code>--read-only</code>, <code>--no-exec</code>,{" "}
          <code>--no-port-forwarding</code>, <code>--no-agent-forwarding</code>, and the options of
          each key (<code>from=</code>, <code>command=</code>, <code>no-pty</code>).
        </li>
        <li>
          At the relay: <code>--policy</code>, with the list of sessions for holders of a token or
          for nobody; <code>--public-url</code>, so that it answers under its own name only.
        </li>
        <li>
          For the programs: pin their SHA-256 from another source than the relay, or build them
          yourself.
        </li>
      </ul>
    </>
  );
}
