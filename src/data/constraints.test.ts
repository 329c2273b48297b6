import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS, openTestDatabase, type TestDatabase } from "../../test/setup/databases.js";

/** What the database itself refuses, whoever writes. */
describe.each(DATABASE_KINDS)("check constraints (%s)", (kind) => {
  let test: TestDatabase;
  beforeAll(async () => {
    test = await openTestDatabase(kind, { seeded: true });
    await test.database.prisma.$executeRaw`
      INSERT INTO "CatalogChange" ("catalogVersion", "entity", "rowId", "slug", "rowVersion", "operation", "fields",
        "after", "actorName", "actorRole", "requestId")
      VALUES (1, 'Gpu', ${crypto.randomUUID()}::uuid, 'x', 1, 'CREATE', '{}', '{}', 'x', 'ADMIN', 'x')`;
    await test.database.prisma.$executeRaw`
      INSERT INTO "ApiToken" ("id", "name", "role", "secretHash", "createdBy", "expiresAt")
      VALUES (${crypto.randomUUID()}::uuid, 'x', 'EDITOR', ${"0".repeat(64)}, 'x', now() + interval '1 day')`;
  });
  afterAll(() => test.close());

  it.each([
    ["Gpu", `"memoryNominalGib" = 0`, "Gpu_memoryNominalGib_check"],
    ["Gpu", `"memoryUsableMib" = -1`, "Gpu_memoryUsableMib_check"],
    ["Gpu", `"int8Tops" = 0`, "Gpu_throughput_check"],
    ["Gpu", `"multiprocessors" = 0`, "Gpu_multiprocessors_check"],
    ["Gpu", `"msrpUsd" = -1`, "Gpu_prices_check"],
    ["Gpu", `"slug" = 'Not a slug' || "slug"`, "Gpu_slug_check"],
    ["Gpu", `"sources" = '[]'`, "Gpu_sources_check"],
    ["Gpu", `"sources" = '{"title": "a"}'`, "Gpu_sources_check"],
    ["Gpu", `"version" = 0`, "Gpu_version_check"],
    ["System", `"gpuCount" = 0`, "System_gpuCount_check"],
    ["System", `"usdPerHour" = -0.01`, "System_usdPerHour_check"],
    ["Model", `"contextLength" = 0`, "Model_contextLength_check"],
    ["Model", `"parameters" = 0, "activeParameters" = 0`, "Model_.*arameters_check"],
    ["Model", `"activeParameters" = "parameters" + 1`, "Model_activeParameters_check"],
    ["Model", `"architecture" = '[]'`, "Model_architecture_check"],
    ["ModelFile", `"sizeBytes" = 0`, "ModelFile_sizeBytes_check"],
    ["QuantFormat", `"bitsPerWeight" = 0`, "QuantFormat_bitsPerWeight_check"],
    ["KvCacheType", `"blockBytes" = 0`, "KvCacheType_blockBytes_check"],
    ["Runtime", `"constants" = '1'`, "Runtime_constants_check"],
    ["Scenario", `"context" = 0`, "Scenario_context_check"],
    ["Scenario", `"sequences" = 0`, "Scenario_sequences_check"],
    ["Scenario", `"faq" = '{}'`, "Scenario_faq_check"],
    ["Measurement", `"measured" = '{}'`, "Measurement_measured_check"],
    ["CatalogChange", `"before" = NULL, "operation" = 'UPDATE'`, "CatalogChange_before_check"],
    ["CatalogChange", `"after" = '[]'`, "CatalogChange_after_check"],
    ["ApiToken", `"secretHash" = 'x'`, "ApiToken_secretHash_check"],
    ["ApiToken", `"expiresAt" = "createdAt"`, "ApiToken_expiresAt_check"],
    ["ApiToken", `"revokedAt" = now()`, "ApiToken_revokedAt_check"],
    ["CatalogVersion", `"id" = 2`, "CatalogVersion_one_row_check"],
  ])("refuse %s with %s", async (table, change, constraint) => {
    const rows = await test.database.prisma.$queryRawUnsafe<unknown[]>(`SELECT 1 AS one FROM "${table}" LIMIT 1`);
    expect(rows, `the seed has a ${table}`).toHaveLength(1);
    await expect(test.database.prisma.$executeRawUnsafe(`UPDATE "${table}" SET ${change}`)).rejects.toThrow(
      new RegExp(constraint),
    );
  });

  it("refuse removing a row that others refer to", async () => {
    await expect(test.database.prisma.$executeRawUnsafe(`DELETE FROM "Model"`)).rejects.toThrow(/fkey/);
  });

  it("refuse a second row of one slug", async () => {
    await expect(test.database.prisma.$executeRawUnsafe(`UPDATE "Runtime" SET "slug" = 'same'`)).rejects.toThrow();
  });
});
