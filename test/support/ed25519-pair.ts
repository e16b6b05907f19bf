/** A fresh Ed25519 key pair in OpenSSH's own text forms, for tests. */
import ssh2 from "ssh2";

const { utils } = ssh2;

/**
 * ssh2 1.17 cuts leading zeros off the public key (keygen.js), so one pair in 256 that it makes is
 * malformed. Such a pair is thrown away here.
 */
export function ed25519Pair(comment = ""): { public: string; private: string } {
  for (;;) {
    const pair = utils.generateKeyPairSync("ed25519", { comment });
    if (!(utils.parseKey(pair.private) instanceof Error)) return pair;
  }
}
