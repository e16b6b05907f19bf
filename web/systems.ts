/**
 * Systems: each CI system's own syntax around a script, and what it tells a job. It knows where a
 * script goes, not what is in it.
 */
import type { Shell } from "../src/actors/words/quoting.ts";
import { type Token, tokenLines, variable } from "./tokens.ts";

export interface System {
  readonly label: string;
  /** Where the snippet goes, as a sentence. */
  readonly where: string;
  /** An id from the job's variables, `{NAME}` each; null where there are none. */
  readonly id: string | null;
  /** URL of the keys of whoever started the job; null where the system does not tell. */
  readonly actorKeys: string | null;
  /** Whether it runs cmd on Windows; PowerShell stands in where it does not. */
  readonly hasCmd: boolean;
  /** Where its people keep a shared token, as a sentence. */
  readonly secret: string;
  /** The script in the system's syntax, with what brings the token to it. */
  wrap(script: string, shell: Shell["name"], token: Token): string;
}

/** Lines of a YAML literal block (YAML 1.2.2, 8.1.2), `depth` spaces deep. */
const block = (script: string, depth: number): string =>
  script
    .split("\n")
    .map((line) => (line === "" ? "" : " ".repeat(depth) + line))
    .join("\n");

/** Ends the script unless the environment variable says that the job failed. */
function unlessFailed(
  shell: Shell["name"],
  name: string,
  op: "is" | "is not",
  value: string,
): string {
  const isWanted = op === "is";
  if (shell === "powershell")
    return `if ($env:${name} ${isWanted ? "-ne" : "-eq"} '${value}') { exit 0 }`;
  if (shell === "cmd") return `if ${isWanted ? "not " : ""}"%${name}%"=="${value}" exit /b 0`;
  return `[ "$${name}" ${isWanted ? "=" : "!="} ${value} ] || exit 0`;
}

/** Jenkins' Groovy: in a literal of three single quotes only `\` and `'` mean something. */
const groovy = (script: string): string => script.replaceAll("\\", "\\\\").replaceAll("'", "\\'");

/** Lines that are there only if the relay wants that kind of token. */
const ifKind = (kind: Token["kind"], token: Token, lines: string): string =>
  token.kind === kind ? lines : "";

/** A step of Drone, and of Woodpecker, which came from it. */
const containerStep = (script: string, token: Token): string => `- name: converge
  image: debian:stable
${ifKind("secret", token, `  environment:\n    ${variable}:\n      from_secret: converge_register_token\n`)}  commands:
    - |
${block(script, 6)}`;

const containerSecret = "Keep the token as the repository's secret converge_register_token.";
const containerSteps = "Put it after the step that fails, with that step's image.";

export const systems = {
  github: {
    label: "GitHub Actions",
    where: "A step of the job, after the one that fails.",
    id: "gh-{GITHUB_RUN_ID}-{GITHUB_RUN_ATTEMPT}",
    actorKeys: "{GITHUB_SERVER_URL}/{GITHUB_ACTOR}.keys",
    hasCmd: true,
    secret: `Keep the token as a secret ${variable} of the repository or the organisation.`,
    wrap: (script, shell, token) => `- name: Converge
  if: failure()
  shell: ${shell}
${ifKind("secret", token, `  env:\n    ${variable}: \${{ secrets.${variable} }}\n`)}  run: |
${block(tokenLines("github", token, shell) + script, 4)}
`,
  },
  gitlab: {
    label: "GitLab CI",
    where: "In the job that fails, in .gitlab-ci.yml.",
    id: "gl-{CI_JOB_ID}",
    actorKeys: "{CI_SERVER_URL}/{GITLAB_USER_LOGIN}.keys",
    hasCmd: false,
    secret: `Keep the token as a masked CI/CD variable ${variable} of the project or group; jobs have it by themselves.`,
    wrap: (script, shell, token) => `my-job:
${token.kind === "signed" ? `  id_tokens:\n    ${variable}:\n      aud: ${JSON.stringify(token.audience)}\n` : ""}  variables:
    RUNNER_AFTER_SCRIPT_TIMEOUT: 55m
  after_script:
    - |
${block(`${unlessFailed(shell, "CI_JOB_STATUS", "is", "failed")}\n${script}`, 6)}
`,
  },
  jenkins: {
    label: "Jenkins",
    where: "In a declarative Jenkinsfile, inside the pipeline or the stage.",
    id: "{BUILD_TAG}",
    actorKeys: null,
    hasCmd: true,
    secret:
      "Keep the token as a credential of the kind “secret text” with the id converge-register-token.",
    wrap: (script, shell, token) => {
      const step = `    ${{ sh: "sh", powershell: "powershell", cmd: "bat" }[shell]} '''
${groovy(script)}
'''
`;
      // Its signed tokens are credentials too (OpenID Connect Provider).
      const isOpen = token.kind === "none" || token.kind === "foreign";
      const inside = isOpen
        ? step
        : `    withCredentials([string(
      credentialsId: 'converge-register-token',
      variable: '${variable}'
    )]) {
${step}    }
`;
      return `post {\n  failure {\n${inside}  }\n}\n`;
    },
  },
  circleci: {
    label: "CircleCI",
    where: "A step of the job, after the one that fails.",
    id: "circle-{CIRCLE_WORKFLOW_JOB_ID}",
    actorKeys: "https://github.com/{CIRCLE_USERNAME}.keys",
    hasCmd: true,
    secret: `Keep the token as the environment variable ${variable} of the project, or of a context that the job uses.`,
    wrap: (script, shell, token) => `- run:
    name: Converge
    when: on_fail
    shell: ${{ sh: "/bin/sh -e", powershell: "powershell.exe", cmd: "cmd.exe" }[shell]}
    no_output_timeout: 1h
    command: |
${block(tokenLines("circleci", token, shell) + script, 6)}
`,
  },
  azure: {
    label: "Azure Pipelines",
    where: "A step of the job, after the one that fails.",
    id: "azure-{BUILD_BUILDID}-{SYSTEM_JOBATTEMPT}",
    actorKeys: null,
    hasCmd: true,
    secret: `Keep the token as a secret variable ${variable} of the pipeline.`,
    wrap: (script, shell, token) => `- ${shell === "powershell" ? "powershell" : "script"}: |
${block(script, 4)}
  displayName: Converge
  condition: failed()
${ifKind("secret", token, `  env:\n    ${variable}: $(${variable})\n`)}`,
  },
  bitbucket: {
    label: "Bitbucket Pipelines",
    where: "In the step that fails, in bitbucket-pipelines.yml.",
    id: "bb-{BITBUCKET_REPO_SLUG}-{BITBUCKET_BUILD_NUMBER}",
    actorKeys: null,
    hasCmd: false,
    secret: `Keep the token as a secured variable ${variable} of the repository or workspace; steps have it by themselves.`,
    wrap: (script, shell, token) => `${ifKind("signed", token, "oidc: true\n")}after-script:
  - |
${block(`${unlessFailed(shell, "BITBUCKET_EXIT_CODE", "is not", "0")}\n${tokenLines("bitbucket", token, shell)}${script}`, 4)}
`,
  },
  buildkite: {
    label: "Buildkite",
    where:
      "The file .buildkite/hooks/post-command of the repository (.ps1 or .bat on Windows); the hook runs on the job's machine.",
    id: "bk-{BUILDKITE_JOB_ID}",
    actorKeys: null,
    hasCmd: true,
    secret: `Keep the token as a Buildkite secret ${variable}.`,
    wrap: (script, shell, token) =>
      `${unlessFailed(shell, "BUILDKITE_COMMAND_EXIT_STATUS", "is not", "0")}\n${tokenLines("buildkite", token, shell)}${script}\n`,
  },
  drone: {
    label: "Drone",
    where: containerSteps,
    id: "drone-{DRONE_REPO_NAME}-{DRONE_BUILD_NUMBER}",
    actorKeys: null,
    hasCmd: false,
    secret: containerSecret,
    wrap: (script, _shell, token) => `${containerStep(script, token)}
  when:
    status: [failure]
`,
  },
  woodpecker: {
    label: "Woodpecker",
    where: containerSteps,
    id: "wp-{CI_REPO_NAME}-{CI_PIPELINE_NUMBER}",
    actorKeys: null,
    hasCmd: false,
    secret: containerSecret,
    wrap: (script, _shell, token) => `${containerStep(script, token)}
  when:
    - status: [failure]
`,
  },
  shell: {
    label: "Plain shell, any other CI",
    where: "Anywhere in the job. It waits until you leave.",
    id: null,
    actorKeys: null,
    hasCmd: true,
    secret: `Put the token into the environment variable ${variable} first, from wherever the CI keeps secrets.`,
    wrap: (script) => `${script}\n`,
  },
} as const satisfies Record<string, System>;

export type SystemName = keyof typeof systems;
export const systemNames = Object.keys(systems) as SystemName[];
