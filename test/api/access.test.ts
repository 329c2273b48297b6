import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAccessService } from "../../src/services/access/access.js";
import { createFailedLogins } from "../../src/services/access/failed-logins.js";
import { hashSecret } from "../../src/services/access/secret.js";
import { ADMIN_TOKEN, type Editor, serve, startEditors } from "./setup/start-editor.js";

let editor: Editor;
let stop: () => Promise<void>;
beforeAll(async () => {
  const started = await startEditors("embedded");
  editor = started.editors[0];
  stop = started.stop;
});
afterAll(() => stop());

const CREATE = `mutation ($input: CreateApiTokenInput!) {
  createApiToken(input: $input) { token apiToken { id name role expiresAt lastUsedAt revokedAt createdBy } userErrors { field code } }
}`;
const EDIT = `mutation { archiveGpu(id: "bm9wZQ", expectedVersion: 1) { userErrors { code } } }`;
const VIEWER = `{ viewer { name role } }`;

async function createToken(role: string, name = `a ${role}`): Promise<{ token: string; id: string }> {
  const { data } = await editor.edit(CREATE, { input: { name, role } });
  expect(data.createApiToken.userErrors).toEqual([]);
  return { token: data.createApiToken.token, id: data.createApiToken.apiToken.id };
}

const ask = (query: string, token?: string, variables: Record<string, unknown> = {}) =>
  editor.query(query, variables, token === undefined ? {} : { authorization: `Bearer ${token}` });

const codeOf = async (answer: ReturnType<typeof ask>) => (await answer).errors?.[0]?.extensions.code;

describe("who may", () => {
  it("asks for a token before it looks at anything else", async () => {
    expect(await codeOf(ask(EDIT))).toBe("UNAUTHENTICATED");
    expect(await codeOf(ask(`{ apiTokens { totalCount } }`))).toBe("UNAUTHENTICATED");
    expect((await ask(VIEWER)).data.viewer).toEqual({ name: "anonymous", role: "VIEWER" });
  });

  it.each([
    "nope",
    "vramql_x_y",
    `${ADMIN_TOKEN}x`,
    ADMIN_TOKEN.slice(0, -1),
    `vramql_${"0".repeat(32)}_${"A".repeat(43)}`,
  ])("does not know %s", async (token) => {
    expect(await codeOf(ask(EDIT, token))).toBe("UNAUTHENTICATED");
  });

  it("answers public reads whatever token is sent, without asking the database", async () => {
    expect((await ask(`{ gpu(slug: "card-24gb") { slug } }`, "nope")).data.gpu.slug).toBe("card-24gb");
    expect(await codeOf(ask(VIEWER, "nope"))).toBe("UNAUTHENTICATED");
  });

  it.each([
    ["VIEWER", "FORBIDDEN", "FORBIDDEN"],
    ["EDITOR", undefined, "FORBIDDEN"],
    ["ADMIN", undefined, undefined],
  ])("lets a token of role %s do what the role may", async (role, edits, administers) => {
    const { token } = await createToken(role);
    expect((await ask(VIEWER, token)).data.viewer).toEqual({ name: `a ${role}`, role });
    expect(await codeOf(ask(EDIT, token))).toBe(edits);
    expect(await codeOf(ask(CREATE, token, { input: { name: "another", role: "VIEWER" } }))).toBe(administers);
  });

  it("shows a token once, keeps a hash of it, and records its use", async () => {
    const { token, id } = await createToken("EDITOR", "hashed");
    expect(token).toMatch(/^vramql_[0-9a-f]{32}_[\w-]{43}$/);
    const stored = await editor.database.prisma.apiToken.findUniqueOrThrow({ where: { id } });
    const secret = token.slice("vramql_".length + 33);
    expect(JSON.stringify(stored)).not.toContain(secret);
    expect(stored).toMatchObject({ secretHash: hashSecret(secret), lastUsedAt: null });
    await ask(VIEWER, token);
    const { data } = await editor.edit(
      `{ apiTokens(filter: { search: "hashed" }) { nodes { name createdBy lastUsedAt } } }`,
    );
    expect(data.apiTokens.nodes).toEqual([
      { name: "hashed", createdBy: "server administrator", lastUsedAt: expect.any(String) },
    ]);
  });

  it("ends a token when it is revoked, and when its time is over", async () => {
    const { token, id } = await createToken("EDITOR", "revoked");
    const revoke = `mutation ($id: ID!) { revokeApiToken(id: $id) { apiToken { revokedBy revokedAt } userErrors { code } } }`;
    const { data } = await editor.edit(revoke, { id });
    expect(data.revokeApiToken).toMatchObject({ apiToken: { revokedBy: "server administrator" }, userErrors: [] });
    expect(await codeOf(ask(EDIT, token))).toBe("UNAUTHENTICATED");
    expect((await editor.edit(revoke, { id: "nope" })).data.revokeApiToken.userErrors).toEqual([{ code: "NOT_FOUND" }]);

    const short = await createToken("EDITOR", "short");
    const later = new Date(Date.now() + 91 * 86_400_000);
    const access = createAccessService({ database: editor.database, adminToken: null, now: () => later });
    await expect(access.identify(`Bearer ${short.token}`, "a")).rejects.toThrow(/expired/);
    await expect(access.identify(`Bearer ${ADMIN_TOKEN}`, "a")).rejects.toThrow(/unknown/);
  });

  it("refuses a token without a name or beyond a year", async () => {
    const { data } = await editor.edit(CREATE, {
      input: { name: "", role: "EDITOR", expiresAt: "2999-01-01T00:00:00Z" },
    });
    expect(data.createApiToken).toMatchObject({
      token: null,
      userErrors: [
        { field: ["input", "name"], code: "INVALID" },
        { field: ["input", "expiresAt"], code: "INVALID" },
      ],
    });
  });
});

describe("caches", () => {
  it("keep no answer to a token", async () => {
    const get = (headers: Record<string, string>) =>
      fetch(`${editor.url}/graphql?query={viewer{role}}`, { headers: { "apollo-require-preflight": "1", ...headers } });
    expect((await get({})).headers.get("cache-control")).toMatch(/^public/);
    const own = await get({ authorization: `Bearer ${ADMIN_TOKEN}` });
    expect(await own.json()).toEqual({ data: { viewer: { role: "ADMIN" } } });
    expect([own.headers.get("cache-control"), own.headers.get("etag")]).toEqual(["no-store", null]);
  });
});

describe("failed logins", () => {
  it("are slowed down by address; tokens that held before go on working", async () => {
    let clock = 0;
    const access = createAccessService({
      database: editor.database,
      adminToken: ADMIN_TOKEN,
      failedLogins: createFailedLogins(() => clock),
    });
    const good = `Bearer ${ADMIN_TOKEN}`;
    await access.identify(good, "office");
    for (let attempt = 0; attempt < 20; attempt++) {
      await expect(access.identify(`Bearer guess-${attempt}`, "office")).rejects.toThrow(/unknown/);
    }
    await expect(access.identify("Bearer guess-20", "office")).rejects.toThrow(/Too many .* 60 s/);
    const { token } = await createToken("EDITOR", "a newcomer");
    await expect(access.identify(`Bearer ${token}`, "office")).rejects.toThrow(/Too many/);
    expect((await access.identify(good, "office")).role).toBe("ADMIN");
    expect((await access.identify(`Bearer ${token}`, "elsewhere")).role).toBe("EDITOR");
    clock = 60_001;
    await expect(access.identify("Bearer guess-21", "office")).rejects.toThrow(/unknown/);
  });

  it("are those of the client behind a trusted proxy, and of the proxy behind any other", async () => {
    const behind = await serve(editor.database, { trustedProxies: ["loopback"] });
    const unknown = Array.from({ length: 20 }, (_, attempt) => `guess-${attempt}`);
    const from = (server: Editor, address: string, token: string) =>
      server.query(VIEWER, {}, { authorization: `Bearer ${token}`, "x-forwarded-for": address });
    try {
      for (const token of unknown) await from(behind, "203.0.113.7", token);
      expect((await from(behind, "203.0.113.7", "guess-20")).errors?.[0]?.message).toMatch(/^Too many/);
      expect((await from(behind, "203.0.113.8", "guess-20")).errors?.[0]?.message).toMatch(/unknown/);
    } finally {
      await behind.stop();
    }
    const direct = await serve(editor.database);
    try {
      for (const token of unknown) await from(direct, "203.0.113.7", token);
      expect((await from(direct, "203.0.113.8", "guess-20")).errors?.[0]?.message).toMatch(/^Too many/);
    } finally {
      await direct.stop();
    }
  });

  it("are remembered of a bounded number of addresses", () => {
    const failures = createFailedLogins(() => 0);
    for (let attempt = 0; attempt < 20; attempt++) failures.note("first");
    expect(failures.waitSeconds("first")).toBe(60);
    for (let address = 0; address < 10_000; address++) failures.note(`address ${address}`);
    expect(failures.waitSeconds("first")).toBe(0);
  });
});
