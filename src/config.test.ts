import { describe, expect, it } from "vitest";
import { ConfigurationError, readConfig } from "./config.js";

/** The sentences about settings that cannot be used. */
function problems(environment: Record<string, string>): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
  }
  return [];
}

describe("readConfig", () => {
  it("needs nothing", () => {
    expect(readConfig({})).toEqual({
      port: 4000,
      host: "127.0.0.1",
      database: { kind: "embedded", folder: ".data" },
      dataDir: ".data",
      adminToken: null,
      corsOrigins: [],
      logLevel: "info",
      publicUrl: null,
      trustedProxies: [],
      signIn: null,
      redisUrl: null,
      limits: {
        rate: {
          address: { unitsPerSecond: 2_000, burst: 60_000 },
          token: { unitsPerSecond: 10_000, burst: 300_000 },
        },
        operationMs: 30_000,
        heavyAtWork: 2,
        maxConnections: 4_000,
        trustedDocuments: null,
      },
      hub: { url: "https://huggingface.co", token: null, fileOrigins: [] },
      metrics: ["loopback"],
      databaseWaitMs: 300_000,
    });
  });

  it("counts nothing when rate limits are off", () => {
    expect(readConfig({ RATE_LIMIT: "off" }).limits.rate).toBeNull();
    expect(readConfig({ RATE_LIMIT_SIGNED_IN: "OFF" }).limits.rate).toBeNull();
  });

  it("takes empty settings for absent ones", () => {
    const empty = { PORT: "", HOST: " ", DATABASE_URL: "", ADMIN_TOKEN: "", CORS_ORIGINS: "", LOG_LEVEL: "" };
    expect(readConfig(empty)).toEqual(readConfig({}));
  });

  it("reads every setting", () => {
    expect(
      readConfig({
        PORT: "0",
        HOST: "0.0.0.0",
        DATABASE_URL: "postgres://user:secret@db:5432/vramql",
        DATA_DIR: "/data",
        ADMIN_TOKEN: "0123456789abcdef",
        CORS_ORIGINS: "https://a.example, http://localhost:3000,",
        LOG_LEVEL: "DEBUG",
        METRICS: "loopback, 10.0.0.0/8",
        DATABASE_WAIT_SECONDS: "0",
        PUBLIC_URL: "https://vram.example/",
        TRUSTED_PROXIES: "loopback, 10.0.0.0/8,",
        OIDC_ISSUER: "https://login.example/realms/team",
        OIDC_AUDIENCE: "vramql, other",
        OIDC_JWKS_URL: "http://localhost:8080/keys",
        OIDC_ROLE_CLAIM: "realm_access.roles",
        OIDC_ROLES: "editors=EDITOR, a=b=ADMIN",
        OIDC_NAME_CLAIM: "email",
        REDIS_URL: "rediss://:secret@cache:6380/1",
        RATE_LIMIT: "100",
        RATE_LIMIT_SIGNED_IN: "3000",
        OPERATION_TIMEOUT_SECONDS: "5",
        HEAVY_OPERATIONS: "4",
        MAX_CONNECTIONS: "100",
        TRUSTED_DOCUMENTS: "documents.json",
        HUGGINGFACE_URL: "https://hub.example/models/",
        HUGGINGFACE_TOKEN: "hf_secret",
        HUGGINGFACE_FILE_HOSTS: "cdn.example, http://127.0.0.1:8080",
      }),
    ).toEqual({
      port: 0,
      host: "0.0.0.0",
      database: { kind: "postgres", url: "postgres://user:secret@db:5432/vramql" },
      dataDir: "/data",
      adminToken: "0123456789abcdef",
      corsOrigins: ["https://a.example", "http://localhost:3000"],
      logLevel: "debug",
      publicUrl: "https://vram.example",
      trustedProxies: ["loopback", "10.0.0.0/8"],
      signIn: {
        issuer: "https://login.example/realms/team",
        audiences: ["vramql", "other"],
        jwksUrl: "http://localhost:8080/keys",
        roleClaim: "realm_access.roles",
        roles: new Map([
          ["editors", "EDITOR"],
          ["a=b", "ADMIN"],
        ]),
        nameClaim: "email",
      },
      redisUrl: "rediss://:secret@cache:6380/1",
      limits: {
        rate: {
          // However little flows in, the largest query can be paid twice.
          address: { unitsPerSecond: 100, burst: 16_000 },
          token: { unitsPerSecond: 3_000, burst: 90_000 },
        },
        operationMs: 5_000,
        heavyAtWork: 4,
        maxConnections: 100,
        trustedDocuments: "documents.json",
      },
      hub: {
        url: "https://hub.example/models",
        token: "hf_secret",
        fileOrigins: ["https://cdn.example", "http://127.0.0.1:8080"],
      },
      metrics: ["loopback", "10.0.0.0/8"],
      databaseWaitMs: 0,
    });
    expect(readConfig({ HUGGINGFACE_URL: "off" }).hub).toBeNull();
  });

  it.each([
    ["PORT", "65536"],
    ["PORT", "-1"],
    ["PORT", "80a"],
    ["PORT", "1e3"],
    ["DATABASE_URL", "mysql://secret@db/x"],
    ["DATABASE_URL", "secret"],
    ["ADMIN_TOKEN", "short-secret"],
    ["ADMIN_TOKEN", "a secret with spaces in it"],
    ["CORS_ORIGINS", "example.org"],
    ["CORS_ORIGINS", "https://example.org/path"],
    ["CORS_ORIGINS", "ftp://example.org"],
    ["LOG_LEVEL", "loud"],
    ["PUBLIC_URL", "vram.example"],
    ["TRUSTED_PROXIES", "loopback, example.org"],
    ["TRUSTED_PROXIES", "*"],
    ["REDIS_URL", "http://secret@cache"],
    ["RATE_LIMIT", "0"],
    ["RATE_LIMIT", "-5"],
    ["RATE_LIMIT_SIGNED_IN", "1e9"],
    ["OPERATION_TIMEOUT_SECONDS", "0.5"],
    ["OPERATION_TIMEOUT_SECONDS", "off"],
    ["HEAVY_OPERATIONS", "0"],
    ["MAX_CONNECTIONS", "many"],
    ["HUGGINGFACE_URL", "huggingface.co"],
    ["HUGGINGFACE_URL", "file:///etc"],
    ["HUGGINGFACE_URL", "https://me:secret@hub.example"],
    ["HUGGINGFACE_TOKEN", "a secret"],
    ["HUGGINGFACE_FILE_HOSTS", "cdn.example/path"],
    ["METRICS", "on"],
    ["METRICS", "10.0.0.0/8, all"],
    ["DATABASE_WAIT_SECONDS", "-1"],
    ["DATABASE_WAIT_SECONDS", "1e3"],
  ])("refuses %s=%s in a sentence that repeats no secret", (name, value) => {
    const [sentence, ...more] = problems({ [name]: value });
    expect(more).toEqual([]);
    expect(sentence).toMatch(new RegExp(`^${name} must .*\\.$`));
    expect(sentence).not.toMatch(/secret/);
  });

  it("needs of an OpenID provider its name and what its tokens are for", () => {
    const least = { OIDC_ISSUER: "https://login.example/", OIDC_AUDIENCE: "vramql" };
    expect(readConfig(least).signIn).toEqual({
      issuer: "https://login.example/",
      audiences: ["vramql"],
      jwksUrl: null,
      roleClaim: "roles",
      roles: new Map([
        ["vramql-viewer", "VIEWER"],
        ["vramql-editor", "EDITOR"],
        ["vramql-admin", "ADMIN"],
      ]),
      nameClaim: null,
    });
    const groups = '{"cn=a,ou=b":"EDITOR"}';
    expect(readConfig({ ...least, OIDC_ROLES: groups }).signIn?.roles).toEqual(new Map([["cn=a,ou=b", "EDITOR"]]));
    expect(problems({ OIDC_ISSUER: "https://login.example" })).toEqual([expect.stringMatching(/^OIDC_AUDIENCE must/)]);
    expect(problems({ OIDC_AUDIENCE: "vramql" })).toEqual(["OIDC_AUDIENCE must go with OIDC_ISSUER."]);
    for (const url of ["http://login.example", "login.example", "https://a:secret@login.example", "file:///keys"]) {
      const [sentence] = problems({ ...least, OIDC_JWKS_URL: url });
      expect(sentence).toMatch(/^OIDC_JWKS_URL must/);
      expect(sentence).not.toMatch(/secret/);
    }
    for (const mapping of ["x", "x=", "=EDITOR", "x=editor", "x=EDITOR,x=ADMIN", "{", "{}", '{"x":1}', ","]) {
      expect(problems({ ...least, OIDC_ROLES: mapping })).toEqual([expect.stringMatching(/^OIDC_ROLES must/)]);
    }
  });

  it("names every problem at once", () => {
    expect(problems({ PORT: "x", LOG_LEVEL: "y", CORS_ORIGINS: "z" })).toHaveLength(3);
  });
});
