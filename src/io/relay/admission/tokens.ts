/**
 * Tokens: whether a bearer token (RFC 6750 2.1) lets an agent register, by the policy of the
 * moment: a shared token, or one that a CI system signed for this very job (OpenID Connect). It
 * knows no websocket; what it says of a token never repeats the token.
 */
import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, jwtVerify } from "jose";
import type { Clock } from "../../../actors/clock.ts";
import { reasonOf } from "../../../actors/errors.ts";
import { type IssuerRule, isToken, type Policy } from "./policy.ts";
import type { Refusal } from "./routes.ts";
import "../../slow-lines.ts";
import { plainText } from "../../text.ts";
import { matchesWildcard } from "../../wildcard.ts";

/** Who vouches for an agent, for the log; null where nobody has to. */
export type Verdict = { readonly by: string | null } | Refusal;

export interface Tokens {
  /** Judges an `Authorization` header. Never rejects. */
  judge(authorization: string | undefined): Promise<Verdict> | Verdict;
}

/** Signed with a key that nobody but the issuer has: no HMAC, and never "none". */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "EdDSA",
];
/** By how much clocks may differ. */
const toleranceS = 60;
const keysTimeoutMs = 5_000;

const refused = (sentence: string): Refusal => ({
  reason: "token",
  status: 401,
  sentence: plainText(sentence),
});

const missing = refused(
  "This relay wants a token of agents: give --register-token-file or CONVERGE_REGISTER_TOKEN.",
);

/** The token of a header with the scheme `Bearer`, in any case; null for every other. */
export function bearerIn(authorization: string | undefined): string | null {
  return /^bearer +([\w.~+/=-]+) *$/i.exec(authorization ?? "")?.[1] ?? null;
}

export function openTokens(policyNow: () => Policy, clock: Clock): Tokens {
  /** Each fetches when a token names a key that it does not have, and at most each half minute. */
  const keysAt = new Map<string, ReturnType<typeof createRemoteJWKSet>>();
  const keysOf = ({ jwks }: IssuerRule): ReturnType<typeof createRemoteJWKSet> => {
    const known = keysAt.get(jwks.href);
    const keys = known ?? createRemoteJWKSet(jwks, { timeoutDuration: keysTimeoutMs });
    keysAt.set(jwks.href, keys);
    return keys;
  };

  async function judgeSigned(token: string, rules: readonly IssuerRule[]): Promise<Verdict> {
    const mayBe = rules.filter(({ issuer }) => issuer === issuerOf(token));
    let verdict: Verdict = refused("That token does not let an agent register here.");
    for (const rule of mayBe) {
      verdict = await judgeBy(rule, token);
      if ("by" in verdict) break;
    }
    return verdict;
  }

  async function judgeBy(rule: IssuerRule, token: string): Promise<Verdict> {
    const { issuer, audience } = rule;
    try {
      const { payload } = await jwtVerify(token, keysOf(rule), {
        issuer,
        audience,
        algorithms,
        clockTolerance: toleranceS,
        currentDate: new Date(clock.wall()),
        requiredClaims: ["exp"],
      });
      const misfit = Object.entries(rule.claims).find(([name, some]) => !fits(payload[name], some));
      if (misfit)
        return refused(`The token's claim ${misfit[0]} does not fit this relay's policy.`);
      return { by: plainText(`${issuer} ${payload.sub ?? ""}`.trim()) };
    } catch (error) {
      return whyNot(error, issuer);
    }
  }

  return {
    judge: (authorization) => {
      const { register } = policyNow();
      if (!register) return { by: null };
      const token = bearerIn(authorization);
      if (token === null) return missing;
      // All are compared, so that the time does not tell which came close.
      const isShared = register.tokens.map((hash) => isToken(token, hash)).includes(true);
      return isShared ? { by: "shared token" } : judgeSigned(token, register.issuers);
    },
  };
}

/** What the token itself claims, to find the rule that it is to be proven by. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

/** Whether a claim (RFC 7519 4) fits one of the patterns; of a list of values one must. */
function fits(claim: JWTPayload[string], patterns: readonly string[]): boolean {
  const values = Array.isArray(claim) ? claim : [claim];
  return values.some(
    (value) =>
      ["string", "number", "boolean"].includes(typeof value) &&
      patterns.some((pattern) => matchesWildcard(pattern, String(value))),
  );
}

/** A token that is wrong is refused; keys that cannot be had are worth another try. */
function whyNot(error: unknown, issuer: string): Refusal {
  if (error instanceof errors.JWTExpired) return refused("The token has expired: get a new one.");
  if (error instanceof errors.JWTClaimValidationFailed)
    return refused(`The token's claim ${error.claim} does not fit this relay's policy.`);
  const isWrong = [
    errors.JWTInvalid,
    errors.JWSInvalid,
    errors.JWSSignatureVerificationFailed,
    errors.JWKSNoMatchingKey,
    errors.JWKSMultipleMatchingKeys,
    errors.JOSEAlgNotAllowed,
    errors.JOSENotSupported,
  ].some((kind) => error instanceof kind);
  if (isWrong) return refused("The token's signature is not one of its issuer's.");
  return {
    reason: "issuer",
    status: 503,
    sentence: plainText(`The keys of ${issuer} cannot be had now: ${reasonOf(error)}`),
  };
}
