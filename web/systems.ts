/**
 * Systems: each CI system's own syntax around a script, and what it tells a job. It knows where a
 * script goes, not what is in it.
 */
import type { Shell } from "../src/actors/words/quoting.ts";

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
  /** The script in the system's syntax. */
  wrap(script: string, shell: Shell["name"]): string;
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

/** A step of Drone, and of Woodpecker, which came from it. */
const containerStep = (script: string): string => `- name: converge
  image: debian:stable
  commands:
    - |
${block(script, 6)}`;

const containerSteps = "Put it after the step that fails, with that step's image.";

export const systems = {
  github: {
    label: "GitHub Actions",
    where: "A step of the job, after the one that fails.",
    id: "gh-{GITHUB_RUN_ID}-{GITHUB_RUN_ATTEMPT}",
    actorKeys: "{GITHUB_SERVER_URL}/{GITHUB_ACTOR}.keys",
    hasCmd: true,
    wrap: (script, shell) => `- name: Converge
  if: failure()
  shell: ${shell}
  run: |
${block(script, 4)}
`,
  },
  gitlab: {
    label: "GitLab CI",
    where: "In the job that fails, in .gitlab-ci.yml.",
    id: "gl-{CI_JOB_ID}",
    actorKeys: "{CI_SERVER_URL}/{GITLAB_USER_LOGIN}.keys",
    hasCmd: false,
    wrap: (script, shell) => `my-job:
  variables:
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
    wrap: (script, shell) => `post {
  failure {
    ${{ sh: "sh", powershell: "powershell", cmd: "bat" }[shell]} '''
${groovy(script)}
'''
  }
}
`,
  },
  circleci: {
    label: "CircleCI",
    where: "A step of the job, after the one that fails.",
    id: "circle-{CIRCLE_WORKFLOW_JOB_ID}",
    actorKeys: "https://github.com/{CIRCLE_USERNAME}.keys",
    hasCmd: true,
    wrap: (script, shell) => `- run:
    name: Converge
    when: on_fail
    shell: ${{ sh: "/bin/sh -e", powershell: "powershell.exe", cmd: "cmd.exe" }[shell]}
    no_output_timeout: 1h
    command: |
${block(script, 6)}
`,
  },
  azure: {
    label: "Azure Pipelines",
    where: "A step of the job, after the one that fails.",
    id: "azure-{BUILD_BUILDID}-{SYSTEM_JOBATTEMPT}",
    actorKeys: null,
    hasCmd: true,
    wrap: (script, shell) => `- ${shell === "powershell" ? "powershell" : "script"}: |
${block(script, 4)}
  displayName: Converge
  condition: failed()
`,
  },
  bitbucket: {
    label: "Bitbucket Pipelines",
    where: "In the step that fails, in bitbucket-pipelines.yml.",
    id: "bb-{BITBUCKET_REPO_SLUG}-{BITBUCKET_BUILD_NUMBER}",
    actorKeys: null,
    hasCmd: false,
    wrap: (script, shell) => `after-script:
  - |
${block(`${unlessFailed(shell, "BITBUCKET_EXIT_CODE", "is not", "0")}\n${script}`, 4)}
`,
  },
  buildkite: {
    label: "Buildkite",
    where:
      "The file .buildkite/hooks/post-command of the repository (.ps1 or .bat on Windows); the hook runs on the job's machine.",
    id: "bk-{BUILDKITE_JOB_ID}",
    actorKeys: null,
    hasCmd: true,
    wrap: (script, shell) =>
      `${unlessFailed(shell, "BUILDKITE_COMMAND_EXIT_STATUS", "is not", "0")}\n${script}\n`,
  },
  drone: {
    label: "Drone",
    where: containerSteps,
    id: "drone-{DRONE_REPO_NAME}-{DRONE_BUILD_NUMBER}",
    actorKeys: null,
    hasCmd: false,
    wrap: (script) => `${containerStep(script)}
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
    wrap: (script) => `${containerStep(script)}
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
    wrap: (script) => `${script}\n`,
  },
} as const satisfies Record<string, System>;

export type SystemName = keyof typeof systems;
export const systemNames = Object.keys(systems) as SystemName[];
