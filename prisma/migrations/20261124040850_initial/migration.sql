-- CreateEnum
CREATE TYPE "AttentionKind" AS ENUM ('MULTI_HEAD', 'GROUPED_QUERY', 'MULTI_QUERY', 'SLIDING_WINDOW', 'LATENT', 'SPARSE_LATENT', 'COMPRESSED', 'HYBRID', 'RECURRENT', 'ENCODER');

-- CreateEnum
CREATE TYPE "QuantFamily" AS ENUM ('UNQUANTIZED', 'GGUF', 'GPTQ', 'AWQ', 'BITSANDBYTES', 'FP8', 'NVFP4', 'MXFP4', 'COMPRESSED_TENSORS', 'EXL2', 'EXL3', 'HQQ', 'MLX');

-- CreateEnum
CREATE TYPE "GpuClass" AS ENUM ('DATACENTER', 'WORKSTATION', 'CONSUMER', 'LAPTOP', 'EDGE', 'UNIFIED');

-- CreateEnum
CREATE TYPE "GpuForm" AS ENUM ('PCIE', 'SXM', 'OAM', 'INTEGRATED', 'LAPTOP', 'POD');

-- CreateEnum
CREATE TYPE "SystemKind" AS ENUM ('CLOUD', 'BOX');

-- CreateEnum
CREATE TYPE "MeasurementKind" AS ENUM ('LLAMA_CPP_MEMORY', 'SERVING_MEMORY', 'FINE_TUNING_MEMORY', 'SPEED');

-- CreateTable
CREATE TABLE "CatalogVersion" (
    "id" INTEGER NOT NULL DEFAULT 1,
    "version" BIGINT NOT NULL,
    "seedHash" TEXT,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "CatalogVersion_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "SeedRow" (
    "id" UUID NOT NULL,
    "contentHash" TEXT NOT NULL,
    "rowVersion" INTEGER NOT NULL,

    CONSTRAINT "SeedRow_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Model" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "family" TEXT NOT NULL,
    "vendor" TEXT NOT NULL,
    "licence" TEXT,
    "releasedOn" TEXT,
    "huggingFaceRepo" TEXT,
    "parameters" BIGINT NOT NULL,
    "activeParameters" BIGINT NOT NULL,
    "contextLength" INTEGER NOT NULL,
    "attention" "AttentionKind" NOT NULL,
    "experts" INTEGER NOT NULL,
    "publishedParameters" BIGINT,
    "parametersNote" TEXT,
    "architecture" JSONB NOT NULL,
    "architectureVersion" INTEGER NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Model_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "ModelFile" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "modelId" UUID NOT NULL,
    "quantFormatId" UUID,
    "publisher" TEXT NOT NULL,
    "repo" TEXT NOT NULL,
    "fileName" TEXT,
    "quantName" TEXT NOT NULL,
    "sizeBytes" BIGINT NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "ModelFile_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "QuantFormat" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "family" "QuantFamily" NOT NULL,
    "bitsPerWeight" DOUBLE PRECISION NOT NULL,
    "scheme" JSONB NOT NULL,
    "qualityRank" INTEGER NOT NULL,
    "runtimes" TEXT[],
    "summary" TEXT NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "QuantFormat_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "KvCacheType" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "blockElements" INTEGER NOT NULL,
    "blockBytes" INTEGER NOT NULL,
    "bitsPerValue" DOUBLE PRECISION NOT NULL,
    "runtimes" TEXT[],
    "summary" TEXT NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "KvCacheType_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Gpu" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "vendor" TEXT NOT NULL,
    "architecture" TEXT NOT NULL,
    "gpuClass" "GpuClass" NOT NULL,
    "form" "GpuForm" NOT NULL,
    "memoryNominalGib" DOUBLE PRECISION NOT NULL,
    "memoryVisibleMib" DOUBLE PRECISION,
    "memoryVisibleBasis" TEXT,
    "memoryUsableMib" DOUBLE PRECISION,
    "memoryUsableBasis" TEXT,
    "memoryType" TEXT NOT NULL,
    "bandwidthGbPerSecond" DOUBLE PRECISION,
    "fp16Tflops" DOUBLE PRECISION,
    "fp8Tflops" DOUBLE PRECISION,
    "fp4Tflops" DOUBLE PRECISION,
    "int8Tops" DOUBLE PRECISION,
    "fp32Tflops" DOUBLE PRECISION,
    "tdpWatts" INTEGER,
    "computeCapability" TEXT,
    "interconnect" TEXT,
    "interconnectGbPerSecond" DOUBLE PRECISION,
    "pcie" TEXT,
    "releasedOn" TEXT,
    "msrpUsd" DOUBLE PRECISION,
    "streetUsd" DOUBLE PRECISION,
    "streetPriceAsOf" TEXT,
    "usdPerHour" DOUBLE PRECISION,
    "supportsBf16" BOOLEAN NOT NULL,
    "supportsFp8" BOOLEAN NOT NULL,
    "supportsFp4" BOOLEAN NOT NULL,
    "notes" TEXT,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Gpu_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "System" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "kind" "SystemKind" NOT NULL,
    "gpuId" UUID NOT NULL,
    "gpuCount" INTEGER NOT NULL,
    "interconnect" TEXT,
    "scaleUpDomainGpus" INTEGER NOT NULL,
    "hostMemoryGib" DOUBLE PRECISION,
    "vcpus" INTEGER,
    "usdPerHour" DOUBLE PRECISION,
    "priceAsOf" TEXT,
    "notes" TEXT,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "System_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Runtime" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "engineVersion" TEXT NOT NULL,
    "constants" JSONB NOT NULL,
    "summary" TEXT NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Runtime_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Scenario" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "title" TEXT NOT NULL,
    "question" TEXT NOT NULL,
    "modelId" UUID NOT NULL,
    "quantFormatId" UUID NOT NULL,
    "context" INTEGER NOT NULL,
    "sequences" INTEGER NOT NULL DEFAULT 1,
    "settings" JSONB NOT NULL,
    "answer" TEXT NOT NULL,
    "explanation" TEXT NOT NULL,
    "verdict" TEXT NOT NULL,
    "faq" JSONB NOT NULL,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Scenario_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Measurement" (
    "id" UUID NOT NULL,
    "slug" TEXT NOT NULL,
    "kind" "MeasurementKind" NOT NULL,
    "runtimeId" UUID NOT NULL,
    "engineVersion" TEXT,
    "modelName" TEXT NOT NULL,
    "modelId" UUID,
    "quantName" TEXT,
    "quantFormatId" UUID,
    "gpuName" TEXT,
    "gpuId" UUID,
    "gpuCount" INTEGER,
    "contextTokens" INTEGER,
    "settings" JSONB NOT NULL,
    "measured" JSONB NOT NULL,
    "observedOn" TEXT,
    "notes" TEXT,
    "sources" JSONB NOT NULL,
    "version" INTEGER NOT NULL DEFAULT 1,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "archivedAt" TIMESTAMPTZ(3),

    CONSTRAINT "Measurement_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Model_slug_key" ON "Model"("slug");

-- CreateIndex
CREATE INDEX "Model_family_idx" ON "Model"("family");

-- CreateIndex
CREATE INDEX "Model_vendor_idx" ON "Model"("vendor");

-- CreateIndex
CREATE INDEX "Model_parameters_idx" ON "Model"("parameters");

-- CreateIndex
CREATE INDEX "Model_contextLength_idx" ON "Model"("contextLength");

-- CreateIndex
CREATE INDEX "Model_attention_idx" ON "Model"("attention");

-- CreateIndex
CREATE UNIQUE INDEX "ModelFile_slug_key" ON "ModelFile"("slug");

-- CreateIndex
CREATE INDEX "ModelFile_modelId_idx" ON "ModelFile"("modelId");

-- CreateIndex
CREATE INDEX "ModelFile_quantFormatId_idx" ON "ModelFile"("quantFormatId");

-- CreateIndex
CREATE UNIQUE INDEX "QuantFormat_slug_key" ON "QuantFormat"("slug");

-- CreateIndex
CREATE INDEX "QuantFormat_family_idx" ON "QuantFormat"("family");

-- CreateIndex
CREATE INDEX "QuantFormat_bitsPerWeight_idx" ON "QuantFormat"("bitsPerWeight");

-- CreateIndex
CREATE UNIQUE INDEX "KvCacheType_slug_key" ON "KvCacheType"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "Gpu_slug_key" ON "Gpu"("slug");

-- CreateIndex
CREATE INDEX "Gpu_vendor_idx" ON "Gpu"("vendor");

-- CreateIndex
CREATE INDEX "Gpu_gpuClass_idx" ON "Gpu"("gpuClass");

-- CreateIndex
CREATE INDEX "Gpu_memoryNominalGib_idx" ON "Gpu"("memoryNominalGib");

-- CreateIndex
CREATE UNIQUE INDEX "System_slug_key" ON "System"("slug");

-- CreateIndex
CREATE INDEX "System_gpuId_idx" ON "System"("gpuId");

-- CreateIndex
CREATE INDEX "System_provider_idx" ON "System"("provider");

-- CreateIndex
CREATE INDEX "System_kind_idx" ON "System"("kind");

-- CreateIndex
CREATE INDEX "System_usdPerHour_idx" ON "System"("usdPerHour");

-- CreateIndex
CREATE UNIQUE INDEX "Runtime_slug_key" ON "Runtime"("slug");

-- CreateIndex
CREATE UNIQUE INDEX "Scenario_slug_key" ON "Scenario"("slug");

-- CreateIndex
CREATE INDEX "Scenario_modelId_idx" ON "Scenario"("modelId");

-- CreateIndex
CREATE INDEX "Scenario_quantFormatId_idx" ON "Scenario"("quantFormatId");

-- CreateIndex
CREATE INDEX "Scenario_context_idx" ON "Scenario"("context");

-- CreateIndex
CREATE UNIQUE INDEX "Measurement_slug_key" ON "Measurement"("slug");

-- CreateIndex
CREATE INDEX "Measurement_kind_idx" ON "Measurement"("kind");

-- CreateIndex
CREATE INDEX "Measurement_runtimeId_idx" ON "Measurement"("runtimeId");

-- CreateIndex
CREATE INDEX "Measurement_modelId_idx" ON "Measurement"("modelId");

-- CreateIndex
CREATE INDEX "Measurement_quantFormatId_idx" ON "Measurement"("quantFormatId");

-- CreateIndex
CREATE INDEX "Measurement_gpuId_idx" ON "Measurement"("gpuId");

-- AddForeignKey
ALTER TABLE "ModelFile" ADD CONSTRAINT "ModelFile_modelId_fkey" FOREIGN KEY ("modelId") REFERENCES "Model"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "ModelFile" ADD CONSTRAINT "ModelFile_quantFormatId_fkey" FOREIGN KEY ("quantFormatId") REFERENCES "QuantFormat"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "System" ADD CONSTRAINT "System_gpuId_fkey" FOREIGN KEY ("gpuId") REFERENCES "Gpu"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Scenario" ADD CONSTRAINT "Scenario_modelId_fkey" FOREIGN KEY ("modelId") REFERENCES "Model"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Scenario" ADD CONSTRAINT "Scenario_quantFormatId_fkey" FOREIGN KEY ("quantFormatId") REFERENCES "QuantFormat"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Measurement" ADD CONSTRAINT "Measurement_runtimeId_fkey" FOREIGN KEY ("runtimeId") REFERENCES "Runtime"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Measurement" ADD CONSTRAINT "Measurement_modelId_fkey" FOREIGN KEY ("modelId") REFERENCES "Model"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Measurement" ADD CONSTRAINT "Measurement_quantFormatId_fkey" FOREIGN KEY ("quantFormatId") REFERENCES "QuantFormat"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Measurement" ADD CONSTRAINT "Measurement_gpuId_fkey" FOREIGN KEY ("gpuId") REFERENCES "Gpu"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- Check constraints. Slugs are lower-case words joined by single ".", "_" or "-".
ALTER TABLE "CatalogVersion"
  ADD CONSTRAINT "CatalogVersion_one_row_check" CHECK ("id" = 1),
  ADD CONSTRAINT "CatalogVersion_version_check" CHECK ("version" >= 1);

ALTER TABLE "SeedRow"
  ADD CONSTRAINT "SeedRow_rowVersion_check" CHECK ("rowVersion" >= 1);

ALTER TABLE "Model"
  ADD CONSTRAINT "Model_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "Model_names_check" CHECK ("name" <> '' AND "family" <> '' AND "vendor" <> ''),
  ADD CONSTRAINT "Model_releasedOn_check" CHECK ("releasedOn" ~ '^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$'),
  ADD CONSTRAINT "Model_parameters_check" CHECK ("parameters" > 0),
  ADD CONSTRAINT "Model_activeParameters_check" CHECK ("activeParameters" > 0 AND "activeParameters" <= "parameters"),
  ADD CONSTRAINT "Model_publishedParameters_check" CHECK ("publishedParameters" > 0),
  ADD CONSTRAINT "Model_contextLength_check" CHECK ("contextLength" >= 1),
  ADD CONSTRAINT "Model_experts_check" CHECK ("experts" >= 0),
  ADD CONSTRAINT "Model_architecture_check" CHECK (jsonb_typeof("architecture") = 'object'),
  ADD CONSTRAINT "Model_architectureVersion_check" CHECK ("architectureVersion" >= 1),
  ADD CONSTRAINT "Model_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "Model_version_check" CHECK ("version" >= 1);

ALTER TABLE "ModelFile"
  ADD CONSTRAINT "ModelFile_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "ModelFile_names_check" CHECK ("publisher" <> '' AND "repo" <> '' AND "quantName" <> ''),
  ADD CONSTRAINT "ModelFile_sizeBytes_check" CHECK ("sizeBytes" > 0),
  ADD CONSTRAINT "ModelFile_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "ModelFile_version_check" CHECK ("version" >= 1);

ALTER TABLE "QuantFormat"
  ADD CONSTRAINT "QuantFormat_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "QuantFormat_names_check" CHECK ("name" <> ''),
  ADD CONSTRAINT "QuantFormat_bitsPerWeight_check" CHECK ("bitsPerWeight" > 0 AND "bitsPerWeight" <= 64),
  ADD CONSTRAINT "QuantFormat_scheme_check" CHECK (jsonb_typeof("scheme") = 'object'),
  ADD CONSTRAINT "QuantFormat_runtimes_check" CHECK ("runtimes" IS NOT NULL),
  ADD CONSTRAINT "QuantFormat_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "QuantFormat_version_check" CHECK ("version" >= 1);

ALTER TABLE "KvCacheType"
  ADD CONSTRAINT "KvCacheType_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "KvCacheType_names_check" CHECK ("name" <> ''),
  ADD CONSTRAINT "KvCacheType_blockElements_check" CHECK ("blockElements" > 0),
  ADD CONSTRAINT "KvCacheType_blockBytes_check" CHECK ("blockBytes" > 0),
  ADD CONSTRAINT "KvCacheType_bitsPerValue_check" CHECK ("bitsPerValue" > 0),
  ADD CONSTRAINT "KvCacheType_runtimes_check" CHECK ("runtimes" IS NOT NULL),
  ADD CONSTRAINT "KvCacheType_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "KvCacheType_version_check" CHECK ("version" >= 1);

ALTER TABLE "Gpu"
  ADD CONSTRAINT "Gpu_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "Gpu_names_check" CHECK ("name" <> '' AND "vendor" <> '' AND "architecture" <> '' AND "memoryType" <> ''),
  ADD CONSTRAINT "Gpu_memoryNominalGib_check" CHECK ("memoryNominalGib" > 0),
  ADD CONSTRAINT "Gpu_memoryVisibleMib_check" CHECK ("memoryVisibleMib" > 0),
  ADD CONSTRAINT "Gpu_memoryUsableMib_check" CHECK ("memoryUsableMib" > 0),
  ADD CONSTRAINT "Gpu_bandwidthGbPerSecond_check" CHECK ("bandwidthGbPerSecond" > 0),
  ADD CONSTRAINT "Gpu_throughput_check" CHECK ("fp16Tflops" > 0 AND "fp8Tflops" > 0 AND "fp4Tflops" > 0 AND "int8Tops" > 0 AND "fp32Tflops" > 0),
  ADD CONSTRAINT "Gpu_tdpWatts_check" CHECK ("tdpWatts" > 0),
  ADD CONSTRAINT "Gpu_interconnectGbPerSecond_check" CHECK ("interconnectGbPerSecond" > 0),
  ADD CONSTRAINT "Gpu_releasedOn_check" CHECK ("releasedOn" ~ '^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$'),
  ADD CONSTRAINT "Gpu_prices_check" CHECK ("msrpUsd" >= 0 AND "streetUsd" >= 0 AND "usdPerHour" >= 0),
  ADD CONSTRAINT "Gpu_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "Gpu_version_check" CHECK ("version" >= 1);

ALTER TABLE "System"
  ADD CONSTRAINT "System_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "System_names_check" CHECK ("name" <> '' AND "provider" <> ''),
  ADD CONSTRAINT "System_gpuCount_check" CHECK ("gpuCount" > 0),
  ADD CONSTRAINT "System_scaleUpDomainGpus_check" CHECK ("scaleUpDomainGpus" > 0),
  ADD CONSTRAINT "System_hostMemoryGib_check" CHECK ("hostMemoryGib" > 0),
  ADD CONSTRAINT "System_vcpus_check" CHECK ("vcpus" > 0),
  ADD CONSTRAINT "System_usdPerHour_check" CHECK ("usdPerHour" >= 0),
  ADD CONSTRAINT "System_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "System_version_check" CHECK ("version" >= 1);

ALTER TABLE "Runtime"
  ADD CONSTRAINT "Runtime_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "Runtime_names_check" CHECK ("name" <> '' AND "engineVersion" <> ''),
  ADD CONSTRAINT "Runtime_constants_check" CHECK (jsonb_typeof("constants") = 'object'),
  ADD CONSTRAINT "Runtime_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "Runtime_version_check" CHECK ("version" >= 1);

ALTER TABLE "Scenario"
  ADD CONSTRAINT "Scenario_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "Scenario_texts_check" CHECK ("title" <> '' AND "question" <> '' AND "answer" <> ''),
  ADD CONSTRAINT "Scenario_context_check" CHECK ("context" >= 1),
  ADD CONSTRAINT "Scenario_sequences_check" CHECK ("sequences" >= 1),
  ADD CONSTRAINT "Scenario_settings_check" CHECK (jsonb_typeof("settings") = 'object'),
  ADD CONSTRAINT "Scenario_faq_check" CHECK (jsonb_typeof("faq") = 'array'),
  ADD CONSTRAINT "Scenario_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "Scenario_version_check" CHECK ("version" >= 1);

ALTER TABLE "Measurement"
  ADD CONSTRAINT "Measurement_slug_check" CHECK ("slug" ~ '^[a-z0-9]+([._-][a-z0-9]+)*$'),
  ADD CONSTRAINT "Measurement_modelName_check" CHECK ("modelName" <> ''),
  ADD CONSTRAINT "Measurement_gpuCount_check" CHECK ("gpuCount" > 0),
  ADD CONSTRAINT "Measurement_contextTokens_check" CHECK ("contextTokens" >= 1),
  ADD CONSTRAINT "Measurement_settings_check" CHECK (jsonb_typeof("settings") = 'object'),
  ADD CONSTRAINT "Measurement_measured_check" CHECK (CASE WHEN jsonb_typeof("measured") = 'object' THEN "measured" <> '{}'::jsonb ELSE false END),
  ADD CONSTRAINT "Measurement_sources_check" CHECK (CASE WHEN jsonb_typeof("sources") = 'array' THEN jsonb_array_length("sources") > 0 ELSE false END),
  ADD CONSTRAINT "Measurement_version_check" CHECK ("version" >= 1);

-- The catalogue's version before the first seed.
INSERT INTO "CatalogVersion" ("id", "version") VALUES (1, 1);
