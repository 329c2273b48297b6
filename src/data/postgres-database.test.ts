import { createServer } from "node:net";
import { describe, expect, it } from "vitest";
import { createTestTarget } from "../../test/setup/databases.js";
import { openDatabase } from "./database.js";
import { assertSupportedVersion, describeUrl } from "./postgres-database.js";

async function refusal(url: string): Promise<{ problem: string; message: string }> {
  const database = await openDatabase({ kind: "postgres", url }).catch((error: unknown) => error);
  return database as { problem: string; message: string };
}

async function testUrl(): Promise<URL> {
  const target = await createTestTarget("postgres");
  return new URL(target.kind === "postgres" ? target.url : "");
}

describe("a server that cannot be used", () => {
  it("is refused when nothing listens", async () => {
    expect(await refusal("postgresql://me:secret@127.0.0.1:1/catalogue")).toMatchObject({
      problem: "UNREACHABLE",
      message: expect.stringMatching(
        /^PostgreSQL at 127\.0\.0\.1:1, database catalogue cannot be reached: .*ECONNREFUSED/,
      ),
    });
  });

  it("is refused when it does not answer", async () => {
    const server = createServer(() => {});
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { port } = server.address() as { port: number };
    expect(await refusal(`postgresql://me:secret@127.0.0.1:${port}/catalogue`)).toMatchObject({
      problem: "UNREACHABLE",
    });
    server.close();
  }, 15_000);

  it("is refused when there is no such database or user", async () => {
    const url = await testUrl();
    url.pathname = "/no_such_database";
    expect(await refusal(url.href)).toMatchObject({
      problem: "NO_SUCH_DATABASE",
      message: expect.stringContaining(
        '"no_such_database" does not exist. Create it (createdb), or check DATABASE_URL.',
      ),
    });
    const stranger = await testUrl();
    stranger.username = "stranger";
    stranger.password = "wrong";
    const denied = await refusal(stranger.href);
    expect(denied.problem).toBe("ACCESS_DENIED");
    expect(denied.message).not.toContain("wrong");
  });

  it("is refused when it is older than PostgreSQL 14", () => {
    expect(() => assertSupportedVersion(130_014, "PostgreSQL at db:5432")).toThrow(
      "PostgreSQL at db:5432 is version 13; version 14 or later is needed.",
    );
    expect(() => assertSupportedVersion(140_000, "PostgreSQL at db:5432")).not.toThrow();
  });
});

describe("describeUrl", () => {
  it.each([
    ["postgresql://me:secret@db.example:6432/catalogue", "PostgreSQL at db.example:6432, database catalogue"],
    ["postgres://db.example/a%20b", "PostgreSQL at db.example:5432, database a b"],
    ["postgresql:///catalogue?host=/run/postgresql", "PostgreSQL at /run/postgresql:5432, database catalogue"],
    ["postgresql://me:secret@db/x?schema=public", "PostgreSQL at db:5432, database x"],
  ])("names the place of %s without the password", (url, place) => {
    expect(describeUrl(url)).toBe(place);
  });

  it.each(["", "db.example", "mysql://me:secret@db/x", "postgresql://me:secret@db/x?schema=other"])(
    "refuses %j without repeating a password",
    (url) => {
      expect(() => describeUrl(url)).toThrow(/DATABASE_URL cannot be used/);
      expect(() => describeUrl(url)).not.toThrow(/secret/);
    },
  );
});
