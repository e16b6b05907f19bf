/** Certificates: a certificate authority in a folder, made by openssl. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate authority, and certificates from it, in a folder. */
export function certificates(dir: string): {
  ca: string;
  issue(name: string, san: string): { certFile: string; keyFile: string };
} {
  const openssl = (...args: string[]): void => {
    execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl(
    ...["req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2"],
    ...["-subj", "/CN=Test Authority"],
  );
  return {
    ca: join(dir, "ca.pem"),
    issue: (name, san) => {
      openssl(
        ...["req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`],
        ...["-subj", `/CN=${name}`],
      );
      writeFileSync(join(dir, `${name}.ext`), `subjectAltName=${san}\n`);
      openssl(
        ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.pem", "-CAkey", "ca.key"],
        ...["-CAcreateserial", "-days", "2", "-extfile", `${name}.ext`, "-out", `${name}.pem`],
      );
      return { certFile: join(dir, `${name}.pem`), keyFile: join(dir, `${name}.key`) };
    },
  };
}
