-- CreateEnum
CREATE TYPE "Role" AS ENUM ('VIEWER', 'EDITOR', 'ADMIN');

-- CreateEnum
CREATE TYPE "ChangeOperation" AS ENUM ('CREATE', 'UPDATE', 'ARCHIVE', 'RESTORE', 'DELETE');

-- CreateTable
CREATE TABLE "CatalogChange" (
    "id" BIGSERIAL NOT NULL,
    "catalogVersion" BIGINT NOT NULL,
    "entity" TEXT NOT NULL,
    "rowId" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "rowVersion" INTEGER NOT NULL,
    "operation" "ChangeOperation" NOT NULL,
    "fields" TEXT[],
    "before" JSONB,
    "after" JSONB,
    "actorName" TEXT NOT NULL,
    "actorRole" "Role" NOT NULL,
    "actorTokenId" UUID,
    "requestId" TEXT NOT NULL,
    "comment" TEXT,
    "revertedChangeId" BIGINT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "CatalogChange_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ApiToken" (
    "id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "role" "Role" NOT NULL,
    "secretHash" TEXT NOT NULL,
    "createdBy" TEXT NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "expiresAt" TIMESTAMPTZ(3) NOT NULL,
    "revokedBy" TEXT,
    "revokedAt" TIMESTAMPTZ(3),
    "lastUsedAt" TIMESTAMPTZ(3),

    CONSTRAINT "ApiToken_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "CatalogChange_rowId_id_idx" ON "CatalogChange"("rowId", "id");

-- CreateIndex
CREATE INDEX "CatalogChange_entity_id_idx" ON "CatalogChange"("entity", "id");

-- CreateIndex
CREATE INDEX "CatalogChange_actorName_id_idx" ON "CatalogChange"("actorName", "id");

-- CreateIndex
CREATE INDEX "CatalogChange_createdAt_idx" ON "CatalogChange"("createdAt");

ALTER TABLE "CatalogChange"
  ADD CONSTRAINT "CatalogChange_catalogVersion_check" CHECK ("catalogVersion" >= 1),
  ADD CONSTRAINT "CatalogChange_names_check" CHECK ("entity" <> '' AND "slug" <> '' AND "actorName" <> '' AND "requestId" <> ''),
  ADD CONSTRAINT "CatalogChange_rowVersion_check" CHECK ("rowVersion" >= 1),
  ADD CONSTRAINT "CatalogChange_fields_check" CHECK ("fields" IS NOT NULL),
  ADD CONSTRAINT "CatalogChange_before_check" CHECK (("before" IS NULL) = ("operation" = 'CREATE') AND ("before" IS NULL OR jsonb_typeof("before") = 'object')),
  ADD CONSTRAINT "CatalogChange_after_check" CHECK (("after" IS NULL) = ("operation" = 'DELETE') AND ("after" IS NULL OR jsonb_typeof("after") = 'object'));

ALTER TABLE "ApiToken"
  ADD CONSTRAINT "ApiToken_names_check" CHECK ("name" <> '' AND "createdBy" <> ''),
  ADD CONSTRAINT "ApiToken_secretHash_check" CHECK ("secretHash" ~ '^[0-9a-f]{64}$'),
  ADD CONSTRAINT "ApiToken_expiresAt_check" CHECK ("expiresAt" > "createdAt"),
  ADD CONSTRAINT "ApiToken_revokedAt_check" CHECK (("revokedAt" IS NULL) = ("revokedBy" IS NULL));
