import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from "jose";

/** What the provider's server does with a request for its keys. */
export type KeysAnswer = (response: ServerResponse) => void;

/** An OpenID provider on this machine: its keys, and the tokens that it signs. */
export interface TestProvider {
  issuer: string;
  /** Requests for its keys so far. */
  readonly fetches: number;
  /** The published keys. */
  readonly keys: readonly JWK[];
  /** A token as it should be, but for what is named: claims that are undefined are left out. */
  sign(claims?: JWTPayload, header?: { kid?: string; typ?: string }): Promise<string>;
  /** Signs with a new key from now on, published in place of the old one unless `publish` is false. */
  rotate(options?: { publish?: boolean }): Promise<void>;
  /** Answers requests for keys otherwise from now on; as it should when absent. */
  answerWith(answer?: KeysAnswer): void;
  stop(): Promise<void>;
}

export const AUDIENCE = "vramql-tests";

/** Starts a provider with one key. */
export async function startProvider(algorithm = "ES256"): Promise<TestProvider> {
  let keys: JWK[] = [];
  let signing: { key: CryptoKey; kid: string };
  let fetches = 0;
  let answer: KeysAnswer | undefined;
  let rotations = 0;

  const rotate: TestProvider["rotate"] = async ({ publish = true } = {}) => {
    const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
    rotations += 1;
    signing = { key: privateKey, kid: `key-${rotations}` };
    if (publish) keys = [{ ...(await exportJWK(publicKey)), kid: signing.kid, alg: algorithm, use: "sig" }];
  };
  await rotate();

  const server = createServer((request, response) => {
    const issuer = issuerOf(server.address() as AddressInfo);
    if (request.url?.endsWith("/.well-known/openid-configuration")) {
      response.end(JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
      return;
    }
    fetches += 1;
    if (answer === undefined) response.end(JSON.stringify({ keys }));
    else answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = issuerOf(server.address() as AddressInfo);

  return {
    issuer,
    get fetches() {
      return fetches;
    },
    get keys() {
      return keys;
    },
    sign(claims = {}, header = {}) {
      const now = Math.floor(Date.now() / 1_000);
      const standard = { iss: issuer, aud: AUDIENCE, sub: "person-1", iat: now, exp: now + 300 };
      return new SignJWT({ ...standard, ...claims })
        .setProtectedHeader({ alg: algorithm, kid: signing.kid, ...header })
        .sign(signing.key);
    },
    rotate,
    answerWith(next) {
      answer = next;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function issuerOf({ port }: AddressInfo): string {
  return `http://127.0.0.1:${port}/team`;
}
