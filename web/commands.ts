/**
 * Commands: from choices to the exact lines for the job and for the client. A choice with a
 * problem is left out of them; what one shell cannot write is said beside the others' problems.
 */

import { cmd, powershell, rsyncWord, type Shell, sh } from "../src/actors/words/quoting.ts";
import {
  type Destination,
  nowhere,
  proxyCommand,
  sshConfig,
} from "../src/actors/words/ssh-command.ts";
import { type Choices, isPrivateKey, keyLines, type Platform, problemsOf } from "./choices.ts";
import { type System, systems } from "./systems.ts";
import { type Admission, type Token, tokenFor } from "./tokens.ts";

export interface Snippet {
  /** Unique on the page. */
  readonly id: string;
  readonly label: string;
  readonly code: string;
  /** Whether with this command nobody checks the agent's key. */
  readonly isUnchecked?: boolean;
}

export interface Commands {
  readonly job: Snippet;
  /** Where the job's snippet goes. */
  readonly where: string;
  /** What the relay wants of the job's agent, and where that comes from; null where it wants nothing. */
  readonly admission: string | null;
  /** What the job itself needs beside that snippet. */
  readonly beside: Snippet | null;
  readonly install: Snippet;
  readonly client: readonly Snippet[];
  readonly problems: Readonly<Partial<Record<keyof Choices, string>>>;
}

const shells: Record<Platform, Shell> = { linux: sh, macos: sh, powershell, cmd };

/** All commands; `base` is the relay's URL without a slash at the end, `admission` whom it lets register. */
export function commandsFor(choices: Choices, base: string, admission: Admission = null): Commands {
  const system: System = systems[choices.ci];
  const token = tokenFor(choices.ci, admission);
  const jobShell = shellOf(choices.agentOs, system, token);
  const problems = { ...problemsOf(choices) };
  for (const name of ["keyUrl", "keyFile", "keyText", "shells"] as const) {
    const what = isUsed(choices, name) ? jobShell.cannot(choices[name]) : null;
    if (what) problems[name] ??= `${platformName(jobShell)} cannot write ${what} safely.`;
  }
  const good = (name: keyof Choices): string => (problems[name] ? "" : String(choices[name]));
  const script = jobScript(choices, good, base, system, jobShell);
  const id = good(choices.idFrom === "fixed" ? "id" : "runId") || "ID";
  return {
    job: { id: "job", label: system.label, code: system.wrap(script, jobShell.name, token) },
    where: system.where,
    admission: admissionOf(token, system),
    beside: choices.ci === "github" && token.kind === "signed" ? permissions : null,
    install: {
      id: "install",
      label: "Once: install wsproxy",
      code: installLine(shells[choices.clientOs], base, choices.insecure),
    },
    client: clientSnippets(choices, id, good("fingerprint"), base),
    problems,
  };
}

function isUsed({ keys }: Choices, name: "keyUrl" | "keyFile" | "keyText" | "shells"): boolean {
  return name === "shells" || name === `key${keys[0]?.toUpperCase()}${keys.slice(1)}`;
}

/** cmd keeps no program's output but by a trick, so what asks for a token is PowerShell's. */
function shellOf(platform: Platform, { hasCmd }: System, token: Token): Shell {
  const isCmd = platform === "cmd" && hasCmd && token.kind !== "signed";
  return platform === "cmd" && !isCmd ? powershell : shells[platform];
}

const permissions: Snippet = {
  id: "permissions",
  label: "In the same job, beside its steps",
  code: "permissions:\n  contents: read\n  id-token: write\n",
};

function admissionOf({ kind }: Token, { label, secret }: System): string | null {
  switch (kind) {
    case "none":
      return null;
    case "secret":
      return `This relay lets an agent in by a token, which its administrator has. ${secret}`;
    case "signed":
      return `This relay lets an agent in by the token that ${label} signs for the job. The lines below ask for it; there is no secret to keep.`;
    case "foreign":
      return `This relay lets in agents of other CI systems only: ${label} has no token that it takes. Ask its administrator for one.`;
  }
}

const platformName = ({ name }: Shell): string =>
  ({ sh: "A shell", powershell: "PowerShell", cmd: "cmd" })[name];

/** The lines that start the agent. A download that fails ends the step with status 3. */
function jobScript(
  choices: Choices,
  good: (name: keyof Choices) => string,
  base: string,
  system: System,
  shell: Shell,
): string {
  const { word, filled } = shell;
  const args: string[] = [];
  if (choices.idFrom === "variable" && system.id) args.push(`--id ${filled(system.id)}`);
  else if (good("id")) args.push(`--id ${word(good("id"))}`);
  if (choices.keys === "actor" && system.actorKeys)
    args.push(`--authorized-keys-url ${filled(system.actorKeys)}`);
  if (choices.keys === "url" && good("keyUrl"))
    args.push(`--authorized-keys-url ${word(new URL(good("keyUrl")).href)}`);
  if (choices.keys === "file" && good("keyFile"))
    args.push(`--authorized-keys ${word(good("keyFile"))}`);
  for (const name of ["shells", "timeout", "warn"] as const)
    if (good(name)) args.push(`--${name} ${word(good(name))}`);
  if (choices.insecure) args.push("--insecure");
  const keys = choices.keys === "text" && good("keyText") ? keyLines(choices.keyText) : [];
  return [...keysFile(keys, shell), startLine(args, shell, base, choices.insecure)].join("\n");
}

/** Writes the pasted keys where the agent looks for them. */
function keysFile(keys: readonly string[], { name, word }: Shell): string[] {
  if (keys.length === 0 || keys.some(isPrivateKey)) return [];
  switch (name) {
    case "sh":
      return [`printf '%s\\n' ${keys.map(word).join(" ")} > .authorized_keys`];
    case "powershell": // UTF-8 without a mark at the start, which Set-Content of version 5 cannot do
      return [
        `[IO.File]::WriteAllLines("$PWD/.authorized_keys", [string[]]@(${keys.map(word).join(",")}))`,
      ];
    case "cmd":
      return keys.map((key, i) => `${i === 0 ? ">" : ">>"}.authorized_keys echo ${key}`);
  }
}

/** `args` are flags with their values. */
function startLine(
  args: readonly string[],
  { name, word }: Shell,
  base: string,
  insecure: boolean,
): string {
  const script = word(`${base}/agent.${name === "sh" ? "sh" : "ps1"}`);
  switch (name) {
    case "sh": // in lines that a narrow column can hold
      return [
        `{ curl -fsSL${insecure ? "k" : ""} ${script} ||`,
        `  wget -qO-${insecure ? " --no-check-certificate" : ""} ${script} ||`,
        "  echo exit 3; } |",
        ["  sh -s --", ...args].join(" \\\n    "),
      ].join("\n");
    case "powershell":
      return `& ([scriptblock]::Create((Invoke-RestMethod ${insecure ? "-SkipCertificateCheck " : ""}${script}))) ${args}`;
    case "cmd":
      return `curl -fsSL${insecure ? "k" : ""}o "%TEMP%\\agent.ps1" ${script} && powershell -NoProfile -ExecutionPolicy Bypass -File "%TEMP%\\agent.ps1" ${args.join(" ")}`;
  }
}

function installLine({ name, word }: Shell, base: string, insecure: boolean): string {
  const script = word(`${base}/wsproxy.${name === "sh" ? "sh" : "ps1"}`);
  switch (name) {
    case "sh":
      return `curl -fsSL${insecure ? "k" : ""} ${script} | sh`;
    case "powershell":
      return `& ([scriptblock]::Create((Invoke-RestMethod ${insecure ? "-SkipCertificateCheck " : ""}${script})))`;
    case "cmd":
      return `curl -fsSL${insecure ? "k" : ""}o "%TEMP%\\wsproxy.ps1" ${script} && powershell -NoProfile -ExecutionPolicy Bypass -File "%TEMP%\\wsproxy.ps1"`;
  }
}

/** ssh, sftp, scp and rsync as they stand, and a block of ssh_config with what uses it. */
function clientSnippets(
  { clientOs, insecure }: Choices,
  id: string,
  fingerprint: string,
  base: string,
): Snippet[] {
  const shell = shells[clientOs];
  const isUnix = shell.name === "sh";
  const to: Destination = {
    clientUrl: `${base}/client/${id}`,
    fingerprint: fingerprint || null,
    insecure,
    system: isUnix ? "unix" : "windows",
  };
  const options = [
    `-oProxyCommand=${proxyCommand(to)}`,
    `-oUserKnownHostsFile=${nowhere(to.system)}`,
    "-oStrictHostKeyChecking=accept-new",
    "-oLogLevel=ERROR",
    "-oServerAliveInterval=0",
  ];
  // A word that begins with `-` and holds a dot is two words for PowerShell, unless it is quoted.
  const words = options
    .map((text) => (shell.name === "powershell" ? `'${text}'` : shell.word(text)))
    .join(" ");
  const alias = `${id}.converge`;
  const rsync = ["ssh", ...options.map(rsyncWord)].join(" ");
  const file = isUnix ? "~/.ssh/config" : "%USERPROFILE%\\.ssh\\config";
  const isUnchecked = !fingerprint;
  const snippets: Snippet[] = [
    { id: "ssh", label: "ssh", code: `ssh ${words} job@${id}\n` },
    { id: "sftp", label: "sftp", code: `sftp ${words} job@${id}\n` },
    { id: "scp", label: "scp: a file from the job", code: `scp ${words} job@${id}:build.log .\n` },
    ...(isUnix
      ? [
          {
            id: "rsync",
            label: "rsync: a folder from the job",
            code: `rsync -av -e ${sh.word(rsync)} job@${id}:build/ build/\n`,
          },
        ]
      : []),
    {
      id: "config",
      label: `${file}, for this job: ssh ${alias}`,
      code: sshConfig(alias, id, to),
    },
    {
      id: "vscode",
      label: "VS Code, with that block",
      code: `code --remote ssh-remote+${alias} /\n`,
    },
    {
      id: "config-all",
      label: `${file}, once for every job: ssh ID.converge`,
      code: sshConfig("*.converge", null, { ...to, clientUrl: base, fingerprint: null }),
    },
  ];
  return snippets.map((snippet) =>
    snippet.id === "config-all" || isUnchecked ? { ...snippet, isUnchecked: true } : snippet,
  );
}
