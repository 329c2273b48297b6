import { createHash } from "node:crypto";
import { type Catalogue, createTable } from "../../../src/data/catalogue.js";
import type {
  GpuRow,
  KvCacheTypeRow,
  MeasurementRow,
  ModelFileRow,
  ModelRow,
  QuantFormatRow,
  RuntimeRow,
  ScenarioRow,
  SystemRow,
} from "../../../src/data/rows.js";
import type { Architecture } from "../../../src/estimator/architecture/architecture.js";

/** A handful of rows of every kind, enough to filter, sort and page. Figures are made up where nothing depends on them. */

/** A UUID that depends on nothing but the text. */
export function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

const day = new Date("2026-01-01T00:00:00.000Z");

function common(slug: string) {
  return {
    id: uuidOf(slug),
    slug,
    sources: [{ title: "made up" }],
    version: 1,
    createdAt: day,
    updatedAt: day,
    archivedAt: null,
  };
}

const architecture: Architecture = {
  schemaVersion: 1,
  modelType: "llama",
  ggufArchitecture: "llama",
  vocabularySize: 128_256,
  hiddenSize: 4096,
  contextLength: 131_072,
  tiedEmbeddings: false,
  hasOutput: true,
  blocks: {},
  layers: [],
  tensors: [],
};

type ModelParts = Pick<ModelRow, "slug" | "name" | "family" | "vendor" | "parameters"> & Partial<ModelRow>;

function model(parts: ModelParts): ModelRow {
  return {
    ...common(parts.slug),
    licence: null,
    releasedOn: null,
    huggingFaceRepo: null,
    activeParameters: parts.parameters,
    contextLength: 131_072,
    attention: "GROUPED_QUERY",
    experts: 0,
    publishedParameters: null,
    parametersNote: null,
    architecture,
    architectureVersion: 1,
    ...parts,
  };
}

const models: ModelRow[] = [
  model({
    slug: "llama-3.1-8b",
    name: "Llama 3.1 8B",
    family: "llama",
    vendor: "Meta",
    parameters: 8_030_261_312,
    releasedOn: "2024-07",
  }),
  model({
    slug: "llama-3.1-70b",
    name: "Llama 3.1 70B",
    family: "llama",
    vendor: "Meta",
    parameters: 70_553_706_560,
    releasedOn: "2024-07",
  }),
  model({
    slug: "llama-3-70b",
    name: "Llama 3 70B",
    family: "llama",
    vendor: "Meta",
    parameters: 70_553_706_560,
    contextLength: 8192,
    releasedOn: "2024-04",
  }),
  model({
    slug: "deepseek-v3",
    name: "DeepSeek-V3",
    family: "deepseek",
    vendor: "DeepSeek",
    parameters: 671_026_419_200,
    activeParameters: 37_551_663_104,
    attention: "LATENT",
    experts: 256,
    huggingFaceRepo: "deepseek-ai/DeepSeek-V3",
    releasedOn: "2024-12",
  }),
  model({
    slug: "qwen3-30b-a3b",
    name: "Qwen3 30B A3B",
    family: "qwen",
    vendor: "Alibaba",
    parameters: 30_532_122_624,
    experts: 128,
    contextLength: 40_960,
  }),
  model({ slug: "dragon-38b", name: "Drágon 38B", family: "dragon", vendor: "Nobody", parameters: 38_000_000_000 }),
  model({
    slug: "retired-1b",
    name: "Retired 1B",
    family: "llama",
    vendor: "Meta",
    parameters: 1_000_000_000,
    archivedAt: day,
  }),
];

function quantFormat(slug: string, name: string, bitsPerWeight: number, fileType: string): QuantFormatRow {
  return {
    ...common(slug),
    name,
    family: "GGUF",
    bitsPerWeight,
    scheme: { kind: "ggml", fileType },
    qualityRank: Math.round(bitsPerWeight * 10),
    runtimes: ["llama-cpp", "not-there"],
    summary: "A file type of llama.cpp.",
  };
}

const quantFormats: QuantFormatRow[] = [
  quantFormat("q4_k_m", "Q4_K_M", 4.89, "Q4_K_M"),
  quantFormat("q8_0", "Q8_0", 8.5, "Q8_0"),
  { ...quantFormat("bf16", "BF16", 16, "BF16"), family: "UNQUANTIZED", runtimes: ["llama-cpp", "rule-of-thumb"] },
];

const kvCacheTypes: KvCacheTypeRow[] = [
  {
    ...common("f16"),
    name: "F16",
    blockElements: 1,
    blockBytes: 2,
    bitsPerValue: 16,
    runtimes: ["llama-cpp"],
    summary: "Half precision.",
  },
  {
    ...common("kv-q8_0"),
    name: "Q8_0",
    blockElements: 32,
    blockBytes: 34,
    bitsPerValue: 8.5,
    runtimes: ["llama-cpp"],
    summary: "Eight bits.",
  },
];

type GpuParts = Pick<GpuRow, "slug" | "name" | "vendor" | "memoryNominalGib"> & Partial<GpuRow>;

function gpu(parts: GpuParts): GpuRow {
  return {
    ...common(parts.slug),
    architecture: "Hopper",
    gpuClass: "DATACENTER",
    form: "SXM",
    memoryVisibleMib: null,
    memoryVisibleBasis: null,
    memoryUsableMib: null,
    memoryUsableBasis: null,
    memoryType: "HBM3",
    bandwidthGbPerSecond: null,
    fp16Tflops: null,
    fp8Tflops: null,
    fp4Tflops: null,
    int8Tops: null,
    fp32Tflops: null,
    tdpWatts: null,
    computeCapability: null,
    multiprocessors: null,
    interconnect: null,
    interconnectGbPerSecond: null,
    pcie: null,
    releasedOn: null,
    msrpUsd: null,
    streetUsd: null,
    streetPriceAsOf: null,
    usdPerHour: null,
    usdPerHourAsOf: null,
    supportsBf16: true,
    supportsFp8: false,
    supportsFp4: false,
    notes: null,
    ...parts,
  };
}

const gpus: GpuRow[] = [
  gpu({
    slug: "nvidia-h100-80gb-sxm",
    name: "NVIDIA H100 SXM 80GB",
    vendor: "NVIDIA",
    memoryNominalGib: 80,
    memoryUsableMib: 81_089,
    memoryVisibleMib: 81_559,
    bandwidthGbPerSecond: 3350,
    supportsFp8: true,
    usdPerHour: 2.5,
  }),
  gpu({
    slug: "nvidia-rtx-3090-24gb",
    name: "NVIDIA GeForce RTX 3090 24GB",
    vendor: "NVIDIA",
    memoryNominalGib: 24,
    memoryUsableMib: 24_124,
    gpuClass: "CONSUMER",
    form: "PCIE",
    bandwidthGbPerSecond: 936,
    memoryType: "GDDR6X",
    architecture: "Ampere",
  }),
  gpu({
    slug: "amd-mi300x-192gb",
    name: "AMD Instinct MI300X 192GB",
    vendor: "AMD",
    memoryNominalGib: 192,
    form: "OAM",
    architecture: "CDNA 3",
    bandwidthGbPerSecond: 5300,
  }),
  ...Array.from({ length: 40 }, (_, index) =>
    gpu({
      slug: `made-up-${String(index).padStart(2, "0")}`,
      name: `Made Up ${index % 7}`,
      vendor: index % 3 === 0 ? "NVIDIA" : "Other",
      memoryNominalGib: 8 * (index % 5) + 8,
      bandwidthGbPerSecond: index % 4 === 0 ? null : 100 * (index % 6),
      gpuClass: index % 2 === 0 ? "CONSUMER" : "WORKSTATION",
      form: "PCIE",
    }),
  ),
];

function system(slug: string, gpuSlug: string, gpuCount: number, usdPerHour: number | null): SystemRow {
  return {
    ...common(slug),
    name: slug.toUpperCase(),
    provider: "Cloudy",
    kind: usdPerHour === null ? "BOX" : "CLOUD",
    gpuId: uuidOf(gpuSlug),
    gpuCount,
    interconnect: null,
    scaleUpDomainGpus: gpuCount,
    hostMemoryGib: 512,
    maxNodes: null,
    vcpus: 96,
    usdPerHour,
    priceAsOf: usdPerHour === null ? null : "2026-01-01",
    notes: null,
  };
}

const systems: SystemRow[] = [
  system("cloudy-8x-h100", "nvidia-h100-80gb-sxm", 8, 20),
  system("cloudy-1x-h100", "nvidia-h100-80gb-sxm", 1, 3),
  system("box-2x-3090", "nvidia-rtx-3090-24gb", 2, null),
];

const runtimes: RuntimeRow[] = [
  {
    ...common("llama-cpp"),
    name: "llama.cpp",
    engineVersion: "b6000",
    constants: { ubatchSize: 512 },
    summary: "C++.",
  },
  { ...common("rule-of-thumb"), name: "Rule of thumb", engineVersion: "1", constants: {}, summary: "A flat share." },
];

function scenario(slug: string, modelSlug: string, context: number): ScenarioRow {
  return {
    ...common(slug),
    title: `Title of ${slug}`,
    question: "How much?",
    modelId: uuidOf(modelSlug),
    quantFormatId: uuidOf("q4_k_m"),
    context,
    sequences: 1,
    settings: {},
    answer: "It needs memory.",
    explanation: "It is so.",
    verdict: "Do it.",
    faq: [{ question: "Why?", answer: "Because." }],
  };
}

const scenarios: ScenarioRow[] = [
  scenario("llama-3.1-8b-q4-k-m-128k", "llama-3.1-8b", 131_072),
  scenario("llama-3.1-8b-q4-k-m-8k", "llama-3.1-8b", 8192),
  scenario("llama-3.1-70b-q4-k-m-8k", "llama-3.1-70b", 8192),
  scenario("deepseek-v3-q4-k-m-128k", "deepseek-v3", 131_072),
];

const modelFiles: ModelFileRow[] = [
  {
    ...common("llama-3.1-8b-q4-k-m-file"),
    modelId: uuidOf("llama-3.1-8b"),
    quantFormatId: uuidOf("q4_k_m"),
    publisher: "somebody",
    repo: "somebody/Llama-3.1-8B-GGUF",
    fileName: "Llama-3.1-8B-Q4_K_M.gguf",
    quantName: "Q4_K_M",
    sizeBytes: 4_920_734_272,
  },
];

const measurements: MeasurementRow[] = [
  {
    ...common("measured-1"),
    kind: "LLAMA_CPP_MEMORY",
    runtimeId: uuidOf("llama-cpp"),
    engineVersion: "b6000",
    modelName: "Llama 3.1 8B",
    modelId: uuidOf("llama-3.1-8b"),
    quantName: "Q4_K_M",
    quantFormatId: uuidOf("q4_k_m"),
    gpuName: "H100",
    gpuId: uuidOf("nvidia-h100-80gb-sxm"),
    gpuCount: 1,
    contextTokens: 8192,
    settings: { ubatch: 512 },
    measured: { kvMib: 1024 },
    observedOn: "2026-01",
    notes: null,
  },
];

const byId = <Row extends { id: string }>(rows: Row[]) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));

export const smallCatalogue: Catalogue = {
  version: 7,
  models: createTable(byId(models)),
  modelFiles: createTable(byId(modelFiles)),
  quantFormats: createTable(byId(quantFormats)),
  kvCacheTypes: createTable(byId(kvCacheTypes)),
  gpus: createTable(byId(gpus)),
  systems: createTable(byId(systems)),
  runtimes: createTable(byId(runtimes)),
  scenarios: createTable(byId(scenarios)),
  measurements: createTable(byId(measurements)),
};
