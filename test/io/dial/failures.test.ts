/** What a failure to reach a relay means: our own sentence for each, whatever the runtime says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { reasonOf } from "../../../src/actors/errors.ts";
import { failure, redirectOf } from "../../../src/io/dial/failures.ts";

const url = new URL("wss://relay.test/client/x");
const advice = "self-signed certificate; if the root CA is installed locally, try --use-system-ca";
const saidOf = (code: string, message = advice): string =>
  failure(url, Object.assign(new Error(message), { code })).particular;

for (const [code, sentence] of [
  ["DEPTH_ZERO_SELF_SIGNED_CERT", /^it is signed by itself/],
  ["SELF_SIGNED_CERT_IN_CHAIN", /^it is signed by itself/],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", /^its authority is not known/],
  ["UNABLE_TO_GET_ISSUER_CERT", /^its authority is not known/],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", /^its authority is not known/],
  ["CERT_HAS_EXPIRED", /has expired$/],
  ["CERT_NOT_YET_VALID", /clock is wrong$/],
  ["ERR_TLS_CERT_ALTNAME_INVALID", /^it is for another name$/],
  ["CERT_REVOKED", /^it was revoked$/],
  ["ERROR_IN_CERT_NOT_AFTER_FIELD", /^the TLS handshake failed \(ERROR_IN_CERT_NOT_AFTER_FIELD\)$/],
  ["ERR_SSL_OF_A_LATER_RELEASE", /^the TLS handshake failed \(ERR_SSL_OF_A_LATER_RELEASE\)$/],
] as const)
  test(`${code}: our sentence, and never the runtime's advice`, () => {
    assert.match(saidOf(code), sentence);
    assert.doesNotMatch(saidOf(code), /use-system-ca|Node/);
    if (!saidOf(code).includes(code))
      assert.match(reasonOf(Object.assign(new Error(advice), { code })), sentence);
  });

test("what OpenSSL says of a handshake is kept", () => {
  const message =
    "write EPROTO 0081:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../ssl.c:354:";
  assert.equal(
    saidOf("EPROTO", message),
    "the TLS handshake failed (sslv3 alert handshake failure)",
  );
});

test("a port without TLS is said to be one", () => {
  const message =
    "write EPROTO 0081:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl.c:354:";
  const error = failure(
    new URL("https://relay.test/x"),
    Object.assign(new Error(message), { code: "EPROTO" }),
  );
  assert.equal(error.code, "CONVERGE_PLAIN");
  assert.equal(
    error.message,
    "relay.test speaks no TLS at that port. Write http:// in place of https://, or ask for its real port.",
  );
});

for (const [status, location, want] of [
  [301, "https://new.example/x", "it redirects to https://new.example/x"],
  [302, "/elsewhere", "it redirects to https://relay.test/elsewhere"],
  [308, "//other.test", "it redirects to https://other.test/"],
  [307, "http://[\u001b[31m\u202eevil", "it redirects to http://[[31mevil"],
  [301, undefined, null],
  [304, "https://new.example/x", null],
  [200, "https://new.example/x", null],
] as const)
  test(`status ${status} with ${JSON.stringify(location)}: ${want}`, () =>
    assert.equal(redirectOf(url, status, location), want));
