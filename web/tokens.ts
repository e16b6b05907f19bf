/**
 * Tokens: what a job must show before this relay lets its agent register, and how each CI system
 * brings that into the job. It knows no token, and nothing of how one is judged.
 */
import { sh } from "../src/actors/words/quoting.ts";

/** Where the agent looks for its token. */
export const variable = "CONVERGE_REGISTER_TOKEN";

/** Who may register, as far as everybody may know it; null for everybody. */
export type Admission = {
  /** Whether a shared token will do. */
  readonly tokens: boolean;
  /** Whose signed tokens will do, and for whom they must be signed. */
  readonly issuers: readonly { readonly issuer: string; readonly audience: string }[];
} | null;

/** What one CI system's jobs show; `foreign` when the relay takes nothing that they could have. */
export type Token =
  | { readonly kind: "none" | "secret" | "foreign" }
  | { readonly kind: "signed"; readonly audience: string };

/** Issuers that are somebody's own; any other is a GitLab, which most run under a name of theirs. */
const issuers = {
  github: /\/\/token\.actions\.githubusercontent\.com|\/_services\/token/,
  circleci: /\/\/oidc\.circleci\.com\//,
  buildkite: /\/\/agent\.buildkite\.com/,
  bitbucket: /\/\/api\.bitbucket\.org\//,
  jenkins: /\/oidc\/?$/,
} as const;

/** The best of what the relay takes from jobs of that system. */
export function tokenFor(system: string, admission: Admission): Token {
  if (admission === null) return { kind: "none" };
  const signerOf = (issuer: string): string =>
    Object.entries(issuers).find(([, pattern]) => pattern.test(issuer))?.[0] ?? "gitlab";
  const own = admission.issuers.find(({ issuer }) => signerOf(issuer) === system);
  if (own) return { kind: "signed", audience: own.audience };
  return { kind: admission.tokens ? "secret" : "foreign" };
}

/** What stands in the script before the agent is started; empty where the CI's own syntax does it. */
export function tokenLines(
  system: "github" | "circleci" | "buildkite" | "bitbucket",
  token: Token,
  shell: "sh" | "powershell" | "cmd",
): string {
  const isSh = shell === "sh";
  if (token.kind === "secret" && system === "buildkite") {
    const ask = `buildkite-agent secret get ${variable}`;
    // The hook is a script, where the variable of a loop has two percent signs.
    if (shell === "cmd") return `for /f "delims=" %%t in ('${ask}') do set "${variable}=%%t"\n`;
    return isSh ? exported(`"$(${ask})"`) : `$env:${variable} = ${ask}\n`;
  }
  if (token.kind !== "signed") return "";
  const { audience } = token;
  const quoted = isSh ? sh.word(audience) : `'${audience.replaceAll("'", "''")}'`;
  switch (system) {
    case "github": {
      const url = `ACTIONS_ID_TOKEN_REQUEST_URL&audience=${encodeURIComponent(audience)}`;
      if (!isSh)
        return `$asked = @{ Authorization = "bearer $env:ACTIONS_ID_TOKEN_REQUEST_TOKEN" }
$env:${variable} = (Invoke-RestMethod -Headers $asked "$env:${url}").value
`;
      return exported(
        `"$(curl -sSf -H "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \\
  "$${url}" |
  sed 's/.*"value" *: *"\\([^"]*\\)".*/\\1/')"`,
      );
    }
    case "circleci": {
      const claims = JSON.stringify({ aud: audience });
      const ask = "circleci run oidc get --claims ";
      // Windows PowerShell loses a double quote on the way to a program, unless it has a backslash.
      return isSh
        ? exported(`"$(${ask}${sh.word(claims)})"`)
        : `$env:${variable} = ${ask}'${claims.replaceAll('"', '\\"').replaceAll("'", "''")}'\n`;
    }
    case "buildkite": {
      const ask = `buildkite-agent oidc request-token --audience ${quoted}`;
      return isSh ? exported(`"$(${ask})"`) : `$env:${variable} = ${ask}\n`;
    }
    case "bitbucket":
      return isSh
        ? exported('"$BITBUCKET_STEP_OIDC_TOKEN"')
        : `$env:${variable} = $env:BITBUCKET_STEP_OIDC_TOKEN\n`;
  }
}

const exported = (value: string): string => `${variable}=${value}\nexport ${variable}\n`;
