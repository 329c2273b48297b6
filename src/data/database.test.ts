import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS, openTestDatabase, recordStatements, type TestDatabase } from "../../test/setup/databases.js";
import { bumpCatalogVersion } from "./catalogue-version.js";

describe.each(DATABASE_KINDS)("a database (%s)", (kind) => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await openTestDatabase(kind);
  });
  afterAll(() => test.close());

  it("counts and raises the version", async () => {
    const statements = await recordStatements(test, () =>
      test.database.prisma.$transaction((tx) => bumpCatalogVersion(tx)),
    );
    expect(statements.length).toBeGreaterThan(1);
  });
});
