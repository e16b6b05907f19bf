/**
 * Errors: one class, and a table from code to the sentence a person reads.
 *
 * Every sentence says what is wrong and what to do next; `%s` is where the particular
 * (a file, a host, a flag) goes. Expected ends are outcomes, not errors, and are not here.
 */
const sentences = {
  CONVERGE_USAGE: "%s",
  CONVERGE_NO_SHELL: "None of the shells %s was found. Name one that exists with --shells.",
  CONVERGE_NO_KEYS:
    "Nobody could log in: no authorized key was found in %s. Put a public key there, or name a file with --authorized-keys or a URL with --authorized-keys-url.",
  CONVERGE_HOST_KEY: "The host key %s cannot be used. Remove it to get a new one, or name another.",
  CONVERGE_UNREACHABLE:
    "The relay %s cannot be reached. Check the URL, the network and the proxy settings.",
  CONVERGE_TLS:
    "The relay's TLS certificate was not accepted: %s. Check the host name, name its authority with --ca, or use --insecure if you must.",
  CONVERGE_PLAIN:
    "%s speaks no TLS at that port. Write http:// in place of https://, or ask for its real port.",
  CONVERGE_VERSION: "%s. Use an agent, a wsproxy and a relay of the same release.",
  CONVERGE_REFUSED: "The relay refused: %s",
  CONVERGE_NO_AGENT:
    "No agent is registered as %s. Check the id in the job's log, or use --wait to wait for it.",
  CONVERGE_WAITED:
    "No agent came as %s. Look in the job's log how far it is, or wait longer with --wait.",
  CONVERGE_FINGERPRINT:
    "The host key does not match: expected %s. Do not go on; take the fingerprint from the job's own log.",
  CONVERGE_AGENT_SILENT:
    "The agent %s did not answer. It may be ending; look at the job's log and try again.",
  CONVERGE_LISTEN: "Cannot listen on %s. Choose another address or port with --listen.",
  CONVERGE_LISTEN_METRICS:
    "Cannot listen on %s. Choose another address or port with --metrics-listen.",
  CONVERGE_PROXY: "The proxy refused: %s. Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
  CONVERGE_ENDED: "The session is over: %s. The job has gone on.",
  CONVERGE_LOST: "The connection was lost: %s. Connect again.",
  CONVERGE_INTERNAL: "Something went wrong inside: %s. Please report it.",
} as const;

export type ErrorCode = keyof typeof sentences;

/** An error for people: `message` is a full sentence, `code` is stable and can be searched for. */
export class ConvergeError extends Error {
  override readonly name = "ConvergeError";
  readonly code: ErrorCode;
  readonly particular: string;
  /** `particular` fills the sentence's hole; `cause` is kept for the debug log. */
  constructor(code: ErrorCode, particular = "", cause?: unknown) {
    super(
      sentences[code].replace("%s", () => particular),
      { cause },
    );
    this.code = code;
    this.particular = particular;
  }
}

const unknownAuthority = "its authority is not known to this machine";
const selfSigned = "it is signed by itself, or by an authority that this machine does not know";

/**
 * Why a certificate is not accepted, by the code that Node has from OpenSSL (tls.html, "X509 certificate
 * error codes"). Its own sentences differ by release, and advise to start Node with other flags.
 */
const certificateFaults: Record<string, string> = {
  UNABLE_TO_GET_ISSUER_CERT: unknownAuthority,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownAuthority,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownAuthority,
  CERT_UNTRUSTED: unknownAuthority,
  CERT_REJECTED: unknownAuthority,
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: selfSigned,
  CERT_HAS_EXPIRED: "it, or its authority's, has expired",
  CERT_NOT_YET_VALID: "it is not valid yet, or this machine's clock is wrong",
  CERT_SIGNATURE_FAILURE: "its signature is wrong",
  CERT_CHAIN_TOO_LONG: "its chain is too long",
  PATH_LENGTH_EXCEEDED: "its chain is too long",
  CERT_REVOKED: "it was revoked",
  INVALID_CA: "its authority may not sign it",
  INVALID_PURPOSE: "it is not for a server",
  ERR_TLS_CERT_ALTNAME_INVALID: "it is for another name",
  HOSTNAME_MISMATCH: "it is for another name",
};

/**
 * What any thrown thing says, in one line, for a log or another sentence. A name with several addresses
 * fails with one error for each of them, and none for all.
 */
export function reasonOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "")
    return thrown.errors.map(reasonOf).join("; ");
  const code = thrown instanceof Error ? String(Reflect.get(thrown, "code")) : "";
  if (Object.hasOwn(certificateFaults, code)) return certificateFaults[code] ?? "";
  return thrown instanceof Error ? thrown.message : String(thrown);
}
