import { createHmac } from "node:crypto";
import { SignJWT } from "jose";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createAccessService } from "../../src/services/access/access.js";
import { createSignInProvider, type SignInSettings } from "../../src/services/access/sign-in-provider.js";
import { AUDIENCE, startProvider, type TestProvider } from "../setup/sign-in-provider.js";
import { ADMIN_TOKEN, type Editor, serve, startEditors } from "./setup/start-editor.js";

const MINUTE_MS = 60_000;

let editor: Editor;
let stop: () => Promise<void>;
beforeAll(async () => {
  const started = await startEditors("embedded");
  editor = started.editors[0];
  stop = started.stop;
});
afterAll(() => stop());

let provider: TestProvider;
let clock: number;
let server: Editor;
const settings = (changes: Partial<SignInSettings> = {}): SignInSettings => ({
  issuer: provider.issuer,
  audiences: [AUDIENCE],
  jwksUrl: null,
  roleClaim: "roles",
  roles: new Map([
    ["editors", "EDITOR"],
    ["admins", "ADMIN"],
  ]),
  nameClaim: null,
  ...changes,
});
const providerOf = (changes: Partial<SignInSettings> = {}) =>
  createSignInProvider(settings(changes), { now: () => clock });
/** An access service with failures of its own. */
const accessTo = (changes: Partial<SignInSettings> = {}) =>
  createAccessService({ database: editor.database, adminToken: ADMIN_TOKEN, signIn: providerOf(changes) });
const viewerOf = async (claims: Record<string, unknown>, changes: Partial<SignInSettings> = {}) =>
  accessTo(changes).identify(`Bearer ${await provider.sign(claims)}`, "here");

beforeEach(async () => {
  provider = await startProvider();
  clock = 0;
  server = await serve(editor.database, { signIn: providerOf() });
});
afterEach(async () => {
  await server.stop();
  await provider.stop();
});

const ask = (query: string, token: string) => server.query(query, {}, { authorization: `Bearer ${token}` });
const VIEWER = "{ viewer { name role } }";
const seconds = (offset: number) => Math.floor(Date.now() / 1_000) + offset;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("a token of the team's provider", () => {
  it("lets a person edit, and the history names the person", async () => {
    const token = await provider.sign({ name: "Ada Lovelace", email: "ada@team.example", roles: ["staff", "editors"] });
    expect((await ask(VIEWER, token)).data.viewer).toEqual({ name: "Ada Lovelace (person-1)", role: "EDITOR" });
    const gpu = (await ask(`{ gpu(slug: "card-24gb") { id version } }`, token)).data.gpu;
    const { data } = await server.query(
      `mutation ($id: ID!, $version: Int!) {
        updateGpu(id: $id, expectedVersion: $version, input: { notes: "signed in" }) { userErrors { message } }
      }`,
      { id: gpu.id, version: gpu.version },
      { authorization: `Bearer ${token}` },
    );
    expect(data.updateGpu.userErrors).toEqual([]);
    const history = await ask(`{ catalogChanges(first: 1) { nodes { actor { name role } slug } } }`, token);
    expect(history.data.catalogChanges.nodes).toEqual([
      { actor: { name: "Ada Lovelace (person-1)", role: "EDITOR" }, slug: "card-24gb" },
    ]);
    expect((await ask("{ apiTokens { totalCount } }", token)).errors?.[0]?.extensions.code).toBe("FORBIDDEN");
    expect(provider.fetches).toBe(1);
  });

  it.each<[string, unknown, string]>([
    ["a list", ["x", "editors"], "EDITOR"],
    ["the highest of a list", ["editors", "admins"], "ADMIN"],
    ["a text", "admins", "ADMIN"],
    ["words of a text, as a scope is", "openid editors profile", "EDITOR"],
    ["nothing known", ["EDITOR", "editor", "admins "], "VIEWER"],
    ["a list of other things", [1, null, { editors: true }, ["admins"]], "VIEWER"],
    ["an object", { editors: true }, "VIEWER"],
    ["a number", 1, "VIEWER"],
    ["null", null, "VIEWER"],
    ["nothing", undefined, "VIEWER"],
  ])("has the role of its claim: %s", async (_, roles, role) => {
    expect(await viewerOf({ roles })).toMatchObject({ role, tokenId: null, isAnonymous: false });
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["realm_access.roles", { realm_access: { roles: ["editors"] } }, "EDITOR"],
    ["resource_access.my.client.roles", { resource_access: { "my.client": { roles: ["editors"] } } }, "EDITOR"],
    ["https://team.example/roles", { "https://team.example/roles": ["editors"] }, "EDITOR"],
    ["cognito:groups", { "cognito:groups": ["admins"] }, "ADMIN"],
    ["realm_access.roles", { realm_access: "editors" }, "VIEWER"],
    ["constructor.name", {}, "VIEWER"],
    ["__proto__", {}, "VIEWER"],
  ])("may have the claim %s in %j", async (roleClaim, claims, role) => {
    expect((await viewerOf(claims, { roleClaim })).role).toBe(role);
  });

  it("names people in one line that nobody else can have", async () => {
    const nameOf = async (claims: Record<string, unknown>, nameClaim: string | null = null) =>
      (await viewerOf(claims, { nameClaim })).name;
    expect(await nameOf({ sub: "a|1" })).toBe("a|1");
    expect(await nameOf({ sub: "a|1", email: "a@b.example" })).toBe("a@b.example (a|1)");
    expect(await nameOf({ sub: "a|1", email: "a@b.example", preferred_username: "a" })).toBe("a (a|1)");
    expect(await nameOf({ sub: "a|1", name: "A", profile: { mail: "x" } }, "profile.mail")).toBe("x (a|1)");
    expect(await nameOf({ name: "server administrator" })).toBe("server administrator (person-1)");
    expect(await nameOf({ name: "A\u0000\u202e\n\ud800 B" })).toBe("A B (person-1)");
    expect(await nameOf({ name: "🦙".repeat(1_000) })).toBe(`${"🦙".repeat(100)} (person-1)`);
    expect(await nameOf({ name: { first: "A" } })).toBe("person-1");
  });
});

describe("a token that does not hold", () => {
  const forge = {
    "of algorithm none": async () =>
      `${encode({ alg: "none" })}.${encode({ iss: provider.issuer, aud: AUDIENCE, sub: "x", exp: seconds(60), roles: ["admins"] })}.`,
    "signed with the public key as if it were a secret": async () => {
      const signed = `${encode({ alg: "HS256", kid: "key-1" })}.${(await provider.sign({ roles: ["admins"] })).split(".")[1]}`;
      const secret = JSON.stringify(provider.keys[0]);
      return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
    },
    "changed after it was signed": async () => {
      const [header, , signature] = (await provider.sign()).split(".");
      const claims = { iss: provider.issuer, aud: AUDIENCE, sub: "x", exp: seconds(60), roles: ["admins"] };
      return `${header}.${encode(claims)}.${signature}`;
    },
    "of another provider": async () => {
      const other = await startProvider();
      const token = await other.sign({ iss: provider.issuer, roles: ["admins"] });
      await other.stop();
      return token;
    },
    "that brings its own key": async () => {
      const other = await startProvider();
      const [, claims] = (await other.sign({ iss: provider.issuer })).split(".");
      await other.stop();
      return `${encode({ alg: "ES256", kid: "key-1", jwk: other.keys[0], jku: `${other.issuer}/keys` })}.${claims}.AAAA`;
    },
    "without claims": async () => `${encode({ alg: "ES256", kid: "key-1" })}.${encode([])}.AAAA`,
    "that is not even JSON": async () => "aaaa.bbbb.cccc",
  };

  it.each(Object.entries(forge))("is refused: %s", async (_, make) => {
    const { data, errors } = await ask(VIEWER, await make());
    expect(data).toBeNull();
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(/signature does not hold|unknown, expired or revoked/),
      extensions: { code: "UNAUTHENTICATED" },
    });
  });

  it.each<[string, () => Record<string, unknown>, RegExp, { typ?: string }?]>([
    ["expired", () => ({ exp: seconds(-31) }), /has expired\. Sign in again/],
    ["not valid yet", () => ({ nbf: seconds(60) }), /not valid yet/],
    ["of another audience", () => ({ aud: ["other", "others"] }), /for the audience vramql-tests/],
    ["without an audience", () => ({ aud: undefined }), /for the audience/],
    ["of another issuer", () => ({ iss: `${provider.issuer}/` }), /must be from http/],
    ["without an end", () => ({ exp: undefined }), /claim exp is missing/],
    ["with a time that is a text", () => ({ exp: "2999" as never }), /claim exp is missing or wrong/],
    ["of nobody", () => ({ sub: undefined }), /claim sub is missing/],
    ["of nobody who can be named", () => ({ sub: "\u0000 " }), /claim sub is missing/],
    ["that ends a session", () => ({}), /kind/, { typ: "logout+jwt" }],
  ])("is told why: %s", async (_, claims, message, header) => {
    const { errors } = await ask(VIEWER, await provider.sign({ roles: ["admins"], ...claims() }, header));
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(message),
      extensions: { code: "UNAUTHENTICATED" },
    });
  });

  it("may differ by the clocks of both machines", async () => {
    expect((await viewerOf({ exp: seconds(-20), nbf: seconds(20) })).name).toBe("person-1");
  });

  it("may be huge", async () => {
    const huge = await provider.sign({ padding: "x".repeat(1_000_000) });
    await expect(accessTo().identify(`Bearer ${huge}`, "here")).rejects.toThrow(/unknown/);
    const response = await fetch(`${server.url}/graphql`, { headers: { authorization: `Bearer ${huge}` } }).catch(
      () => ({ status: 431 }),
    );
    expect(response.status).toBe(431);
    const groups = Array.from({ length: 300 }, (_, index) => `group-${index}-of-a-large-team`);
    const large = await provider.sign({ roles: [...groups, "editors"] });
    expect((await ask(VIEWER, large)).data.viewer.role).toBe("EDITOR");
  });

  it("counts as a failed login, unless its time is over", async () => {
    const access = accessTo();
    const expired = `Bearer ${await provider.sign({ exp: seconds(-60) })}`;
    for (let attempt = 0; attempt < 30; attempt++) {
      await expect(access.identify(expired, "office")).rejects.toThrow(/expired/);
    }
    for (let attempt = 0; attempt < 20; attempt++) {
      const other = `Bearer ${await provider.sign({ aud: `other-${attempt}` })}`;
      await expect(access.identify(other, "office")).rejects.toThrow(/audience/);
    }
    await expect(access.identify(`Bearer ${await provider.sign()}`, "office")).rejects.toThrow(/Too many/);
    expect((await access.identify(`Bearer ${await provider.sign()}`, "elsewhere")).name).toBe("person-1");
  });

  it("is one of any provider while none is set", async () => {
    const { errors } = await editor.query(VIEWER, {}, { authorization: `Bearer ${await provider.sign()}` });
    expect(errors?.[0]?.extensions.code).toBe("UNAUTHENTICATED");
    expect(provider.fetches).toBe(0);
  });
});

describe.each(["RS256", "PS512", "ES384", "EdDSA"])("keys of %s", (algorithm) => {
  it("are taken", async () => {
    const other = await startProvider(algorithm);
    try {
      const access = accessTo({ issuer: other.issuer, jwksUrl: `${other.issuer}/keys` });
      expect((await access.identify(`Bearer ${await other.sign()}`, "here")).name).toBe("person-1");
    } finally {
      await other.stop();
    }
  });
});

describe("the provider's keys", () => {
  it("are fetched again for a token of a new one, but not for every name of a key that somebody makes up", async () => {
    const access = accessTo();
    const first = await provider.sign();
    await access.identify(`Bearer ${first}`, "here");
    await provider.rotate();
    const second = await provider.sign();
    await expect(access.identify(`Bearer ${second}`, "here")).rejects.toThrow(/signature/);
    clock += MINUTE_MS;
    await access.identify(`Bearer ${second}`, "here");
    await expect(access.identify(`Bearer ${first}`, "here")).rejects.toThrow(/signature/);
    for (let guess = 0; guess < 5; guess++) {
      const token = await provider.sign({}, { kid: `guess-${guess}` });
      await expect(access.identify(`Bearer ${token}`, "here")).rejects.toThrow(/signature/);
    }
    expect(provider.fetches).toBe(2);
  });

  it("are fetched once for many tokens at once, and again when they are old", async () => {
    const access = accessTo();
    const token = `Bearer ${await provider.sign()}`;
    await Promise.all(Array.from({ length: 20 }, () => access.identify(token, "here")));
    expect(provider.fetches).toBe(1);
    // Withdrawn: published no more.
    await provider.rotate();
    clock += 9 * MINUTE_MS;
    await access.identify(token, "here");
    clock += 2 * MINUTE_MS;
    await expect(access.identify(token, "here")).rejects.toThrow(/signature/);
  });

  it.each<[string, Parameters<TestProvider["answerWith"]>[0]]>([
    ["breaks off", (response) => response.destroy()],
    ["fails", (response) => response.writeHead(500).end()],
    ["says nothing in JSON", (response) => response.end("<html>")],
    ["has no keys in its answer", (response) => response.end("[]")],
    ["redirects", (response) => response.writeHead(302, { location: "/elsewhere" }).end()],
    ["sends without end", (response) => response.write(" ".repeat(2 ** 21))],
    ["does not answer", () => {}],
  ])("cannot be had while it %s: own tokens and reads go on", async (_, answer) => {
    provider.answerWith(answer);
    const token = await provider.sign({ roles: ["admins"] });
    const [signedIn, own, anonymous, reading] = await Promise.all([
      ask(VIEWER, token),
      ask(VIEWER, ADMIN_TOKEN),
      server.query(VIEWER),
      ask("{ catalogVersion }", token),
    ]);
    expect(signedIn.errors?.[0]).toMatchObject({
      message: expect.stringMatching(/^The sign-in provider does not answer/),
      extensions: { code: "UNAVAILABLE" },
    });
    expect([own.data.viewer.role, anonymous.data.viewer.role]).toEqual(["ADMIN", "VIEWER"]);
    expect(reading.errors).toBeUndefined();
    // At once, and without asking again, for some seconds; nothing of it counts as a failed login.
    const before = provider.fetches;
    for (let attempt = 0; attempt < 25; attempt++) {
      expect((await ask(VIEWER, token)).errors?.[0]?.extensions.code).toBe("UNAVAILABLE");
    }
    expect(provider.fetches).toBe(before);
    provider.answerWith();
    clock += MINUTE_MS;
    expect((await ask(VIEWER, token)).data.viewer.role).toBe("ADMIN");
  });

  it("work on for an hour when it goes away", async () => {
    const access = accessTo();
    const token = `Bearer ${await provider.sign()}`;
    await access.identify(token, "here");
    provider.answerWith((response) => response.destroy());
    clock += 59 * MINUTE_MS;
    await access.identify(token, "here");
    clock += 2 * MINUTE_MS;
    await expect(access.identify(token, "here")).rejects.toThrow(/does not answer/);
  });

  it("are nobody's whose description names another", async () => {
    const issuer = provider.issuer.replace("127.0.0.1", "localhost");
    const token = `Bearer ${await provider.sign({ iss: issuer })}`;
    await expect(accessTo({ issuer }).identify(token, "here")).rejects.toThrow(/does not answer/);
    expect(provider.fetches).toBe(0);
  });

  it("that are secrets sign nothing", async () => {
    const secret = Buffer.alloc(32, 1);
    provider.answerWith((response) =>
      response.end(JSON.stringify({ keys: [{ kty: "oct", k: secret.toString("base64url"), kid: "s", alg: "HS256" }] })),
    );
    const token = await new SignJWT({ iss: provider.issuer, aud: AUDIENCE, sub: "x", exp: seconds(60) })
      .setProtectedHeader({ alg: "HS256", kid: "s" })
      .sign(secret);
    await expect(accessTo().identify(`Bearer ${token}`, "here")).rejects.toThrow(/signature/);
  });
});
