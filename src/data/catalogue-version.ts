import type { Prisma } from "./prisma/client.js";

/** The channel on which a raised catalogue version is announced. */
export const CATALOGUE_CHANNEL = "vramql_catalogue";

/** The only row's id. */
export const CATALOGUE_VERSION_ID = 1;

/**
 * Raises the catalogue's version and announces it, both when the transaction commits. Every transaction that
 * changes rows of the catalogue calls it once, after its changes. Returns the new version.
 */
export async function bumpCatalogVersion(tx: Prisma.TransactionClient): Promise<number> {
  const { version } = await tx.catalogVersion.update({
    where: { id: CATALOGUE_VERSION_ID },
    data: { version: { increment: 1 } },
    select: { version: true },
  });
  await tx.$executeRaw`SELECT pg_notify(${CATALOGUE_CHANNEL}, ${String(version)})`;
  return Number(version);
}

/** Longest wait for the edits of others before an edit gives up. */
const LOCK_TIMEOUT = "30s";

/**
 * Keeps everybody else from editing the catalogue until the transaction ends; reading goes on. Returns the version
 * that the catalogue has until then.
 */
export async function lockCatalogue(tx: Prisma.TransactionClient): Promise<number> {
  await tx.$executeRawUnsafe(`SET LOCAL lock_timeout = '${LOCK_TIMEOUT}'`);
  const [row] = await tx.$queryRaw<{ version: bigint }[]>`
    SELECT "version" FROM "CatalogVersion" WHERE "id" = ${CATALOGUE_VERSION_ID} FOR UPDATE`;
  if (row === undefined) throw new Error("the database has no catalogue version");
  return Number(row.version);
}
