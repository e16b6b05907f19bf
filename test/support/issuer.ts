/**
 * Issuer: an OpenID Connect issuer on this machine: signs tokens and serves its public keys.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";

export interface Issuer {
  readonly url: string;
  readonly jwks: string;
  /** How often its keys were asked for. */
  asked(): number;
  /** A token with these claims, signed with its key, or with one that it never showed. */
  sign(claims: JWTPayload, how?: { forged?: boolean }): Promise<string>;
  /** From now on it answers 500. */
  fail(isFailing: boolean): void;
  close(): void;
}

export async function openIssuer(): Promise<Issuer> {
  const kid = "key-1";
  const { publicKey, privateKey } = await generateKeyPair("RS256");
  const stranger = await generateKeyPair("RS256");
  const keys = [{ ...(await exportJWK(publicKey)), kid, alg: "RS256", use: "sig" }];
  let asked = 0;
  let isFailing = false;
  const server = createServer((_request, response) => {
    asked += 1;
    if (isFailing) response.writeHead(500).end();
    else
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    jwks: `${url}/keys`,
    asked: () => asked,
    sign: (claims, { forged = false } = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", kid })
        .sign(forged ? stranger.privateKey : privateKey),
    fail: (failing) => {
      isFailing = failing;
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
