/**
 * Machine trust: the authorities that this machine trusts beside those that Node has built in, as curl
 * and every other program on it do. Reading and parsing them takes some fifty milliseconds, for which
 * each ssh would wait: so they are read when a certificate was not accepted without them.
 */
import { readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import * as tls from "node:tls";

/** Where distributions have them in one file: Debian and Arch, Fedora, SUSE, RHEL, Alpine. */
const bundles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** The certificates in a file; none where there is no such file. */
function certificatesIn(file: string): string[] {
  try {
    const text = readFileSync(file, "latin1");
    return (
      text.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? []
    );
  } catch {
    return [];
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** Node 22.15 and later can ask the system, which on macOS and Windows has no files. */
function systemStore(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?(type: "system"): string[] };
  return getCACertificates?.("system") ?? [];
}

/**
 * All authorities that count: Node's own, those of `NODE_EXTRA_CA_CERTS`, and the machine's, where
 * `SSL_CERT_FILE` and `SSL_CERT_DIR` (openssl-env(7)) stand before what the distribution has.
 */
export function machineAuthorities(env = process.env): string[] {
  const {
    NODE_EXTRA_CA_CERTS: extra = "",
    SSL_CERT_FILE: file = "",
    SSL_CERT_DIR: dirs = "",
  } = env;
  const found = [extra, file].filter(Boolean).flatMap(certificatesIn);
  found.push(...dirs.split(delimiter).filter(Boolean).flatMap(namesIn).flatMap(certificatesIn));
  if (file === "" && ["darwin", "win32"].includes(process.platform)) found.push(...systemStore());
  else if (file === "")
    found.push(...(bundles.map(certificatesIn).find(({ length }) => length > 0) ?? []));
  return [...new Set([...tls.rootCertificates, ...found])];
}
