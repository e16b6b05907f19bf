/**
 * Trusting: one try of something over TLS, and a second one with the machine's own authorities when
 * the first did not know the certificate's. It knows neither what is tried nor where they are.
 */
import type { Trust } from "./config.ts";

/** As `tls.connect`, `ws` and `https.request` take them. */
export interface TlsTrust {
  readonly rejectUnauthorized: boolean;
  readonly ca?: string | string[];
}

const unknownAuthority =
  /^(?:UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT)$/;

/** Whether it, or what caused it, is a certificate whose authority nobody here knows. */
function isUnknown(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return unknownAuthority.test(String(Reflect.get(error, "code"))) || isUnknown(error.cause);
}

/** Resolves or rejects as the last `attempt` does; with `--ca` or `--insecure` there is one. */
export async function trusting<T>(
  { ca, insecure }: Trust,
  attempt: (tls: TlsTrust) => Promise<T>,
): Promise<T> {
  const rejectUnauthorized = !insecure;
  if (ca !== null) return await attempt({ rejectUnauthorized, ca });
  try {
    return await attempt({ rejectUnauthorized });
  } catch (error) {
    if (insecure || !isUnknown(error)) throw error;
    const { machineAuthorities } = await import("./machine-trust.ts");
    return await attempt({ rejectUnauthorized, ca: machineAuthorities() });
  }
}
