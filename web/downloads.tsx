/**
 * Downloads: what this relay serves, with everything needed to check it. It knows the list, not
 * the files.
 */
import type { JSX } from "preact";
import { powershell, type Shell, sh } from "../src/actors/words/quoting.ts";
import { CodeBlock, CopyButton } from "./code-block.tsx";
import { bytesText } from "./measures.tsx";
import { Scroll } from "./scroll.tsx";

/** One file below `static/`. */
export interface Download {
  /** Of `A-Z a-z 0-9 . _ -`. */
  readonly name: string;
  readonly bytes: number;
  /** Of them, as many as go over the wire. */
  readonly wireBytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

const systemNames: Record<string, string> = { linux: "Linux", win: "Windows" };

/** What a file is and for whom, by its name. */
function describe(name: string): string {
  const [, os = "", cpu = ""] = /-(linux|win)-(x64|arm64)/.exec(name) ?? [];
  if (name.endsWith(".cjs")) return "any system with Node 20 or newer";
  if (name.startsWith("libs-")) return "a C library, for Alpine and busybox; the script takes it";
  if (os) return `${systemNames[os]}, ${cpu}; agent and wsproxy in one, no Node needed`;
  const target = name.endsWith(".exe") ? "agent-win-x64.exe" : "agent-linux-x64";
  return ["agent", "wsproxy"].includes(name.replace(".exe", "")) ? `short for ${target}` : "";
}

export function DownloadsPage(props: { files: readonly Download[]; base: string }): JSX.Element {
  const { files, base } = props;
  const first = (files.find(({ name }) => name === "wsproxy.cjs") ?? files[0])?.name ?? "";
  const url = `${base}/static/${first}`;
  const at = (name: string, shell: Shell = sh): string => shell.word(`${base}/${name}`);
  const block = (name: string): string =>
    `& ([scriptblock]::Create((Invoke-RestMethod ${at(name, powershell)})))`;
  return (
    <>
      <h1>Downloads</h1>
      <p class="lede">
        The agent and wsproxy as this relay serves them. A checksum from the same server finds a
        broken transfer, not a dishonest server: compare it with one from elsewhere if that matters.
      </p>
      {files.length === 0 ? (
        <p class="empty">
          <b>This relay serves no files.</b> Its administrator can name a folder with{" "}
          <code>--downloads</code>. Until then, build the programs from the source.
        </p>
      ) : (
        <>
          <h2>In one line</h2>
          <p>
            Each fetches what fits the machine, checks its SHA-256, keeps it in a cache and starts
            or installs it. <a href="usage">Usage</a> writes the first one for your CI.
          </p>
          <CodeBlock
            id="agent-line"
            label="The agent, in a job"
            code={`curl -fsSL ${at("agent.sh")} | sh -s -- --authorized-keys FILE`}
          />
          <CodeBlock
            id="wsproxy-line"
            label="wsproxy, on your machine"
            code={`curl -fsSL ${at("wsproxy.sh")} | sh`}
          />
          <CodeBlock
            id="agent-block"
            label="The agent, PowerShell"
            code={`${block("agent.ps1")} --authorized-keys FILE`}
          />
          <CodeBlock id="wsproxy-block" label="wsproxy, PowerShell" code={block("wsproxy.ps1")} />
          <h2>Files</h2>
          <Scroll label="Files">
            <table class="wide">
              <caption class="unseen">Files that this relay serves</caption>
              <thead>
                <tr>
                  <th scope="col">File</th>
                  <th scope="col">For</th>
                  <th scope="col">Size</th>
                  <th scope="col">SHA-256</th>
                </tr>
              </thead>
              <tbody>
                {files.map(({ name, bytes, wireBytes, sha256 }) => (
                  <tr key={name}>
                    <th scope="row">
                      <a href={`static/${name}`} download>
                        {name}
                      </a>
                    </th>
                    <td>{describe(name)}</td>
                    <td>
                      {bytesText(wireBytes)}
                      {wireBytes < bytes && <small>{`unpacked ${bytesText(bytes)}`}</small>}
                    </td>
                    <td class="short">
                      <code class="hash" id={`sum-${name}`} title={sha256}>
                        {sha256}
                      </code>{" "}
                      <CopyButton id={`sum-${name}`} label={`the SHA-256 of ${name}`} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
          <h2>Fetch one by hand</h2>
          <CodeBlock id="curl" label="curl" code={`curl -fsSLO ${sh.word(url)}`} />
          <CodeBlock id="wget" label="wget" code={`wget ${sh.word(url)}`} />
          <CodeBlock
            id="powershell"
            label="PowerShell"
            code={`Invoke-WebRequest ${powershell.word(url)} -OutFile ${first}`}
          />
          <h2>Check it</h2>
          <CodeBlock
            id="check"
            label="Linux"
            code={`curl -fsSL ${at("static/SHA256SUMS")} | sha256sum --check --ignore-missing`}
          />
        </>
      )}
    </>
  );
}
