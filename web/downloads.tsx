/**
 * Downloads: what this relay serves, with everything needed to check it. It knows the list, not
 * the files.
 */
import type { JSX } from "preact";
import { CodeBlock } from "./code-block.tsx";
import { Scroll } from "./scroll.tsx";
import { bytesText } from "./sessions.tsx";

/** One file below `static/`. */
export interface Download {
  /** Of `A-Z a-z 0-9 . _ -`. */
  readonly name: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Who a file is for, by its name. */
function forWhom(name: string): string {
  const [, os = "", cpu = ""] = /-(linux|macos|darwin|win)-(x64|arm64)/.exec(name) ?? [];
  if (name.endsWith(".cjs")) return "any system with Node 20 or newer";
  if (name.endsWith(".exe") && !os) return "Windows";
  const systems: Record<string, string> = { linux: "Linux", win: "Windows" };
  return os ? `${systems[os] ?? "macOS"}, ${cpu}` : "";
}

export function DownloadsPage(props: { files: readonly Download[]; base: string }): JSX.Element {
  const { files, base } = props;
  const first = files[0]?.name ?? "agent.cjs";
  const url = `${base}/static/${first}`;
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
                {files.map(({ name, bytes, sha256 }) => (
                  <tr key={name}>
                    <th scope="row">
                      <a href={`static/${name}`} download>
                        {name}
                      </a>
                    </th>
                    <td>{forWhom(name)}</td>
                    <td>{bytesText(bytes)}</td>
                    <td>
                      <code class="hash">{sha256}</code>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
          <h2>Fetch one</h2>
          <CodeBlock id="curl" label="curl" code={`curl -fsSLO ${url}`} />
          <CodeBlock id="wget" label="wget" code={`wget ${url}`} />
          <CodeBlock
            id="powershell"
            label="PowerShell"
            code={`Invoke-WebRequest ${url} -OutFile ${first}`}
          />
          <h2>Check it</h2>
          <CodeBlock
            id="check"
            label="Linux"
            code={`curl -fsSL ${base}/static/SHA256SUMS | sha256sum --check --ignore-missing`}
          />
        </>
      )}
    </>
  );
}
