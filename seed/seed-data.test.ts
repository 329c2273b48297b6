import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Architecture } from "../src/estimator/architecture/architecture.js";
import type { QuantScheme } from "../src/estimator/quantization/scheme.js";
import { storeTensors } from "../src/estimator/quantization/store-tensors.js";
import { countParameters } from "../src/estimator/tensors/count-parameters.js";
import { readCatalogueFiles } from "../src/services/catalogue-files/catalogue-folder.js";
import { toFolder } from "../src/services/catalogue-files/export-catalogue.js";
import { normalizeFiles } from "../src/services/catalogue-files/normalize-files.js";
import { parseDocument } from "../src/services/catalogue-files/parse-sections.js";
import { slugOfRepo } from "../src/services/imports/repository-name.js";
import { SEED_FOLDER } from "../src/services/seeding/read-seed.js";

interface ModelRow {
  slug: string;
  huggingFaceRepo: string | null;
  publishedParameters: number | null;
  parametersNote: string | null;
  architecture: Architecture;
}
interface QuantFormatRow {
  slug: string;
  scheme: QuantScheme;
}
interface ModelFileRow {
  slug: string;
  model: string;
  quantFormat: string | null;
  sizeBytes: number;
}
interface GpuRow {
  slug: string;
  vendor: string;
  memoryNominalGib: number;
  memoryUsableMib: number | null;
  memoryUsableBasis: string | null;
}

const models = read<ModelRow>("models");
const quantFormats = read<QuantFormatRow>("quant-formats");
const modelFiles = read<ModelFileRow>("model-files");
const gpus = read<GpuRow>("gpus");

/** Above this relative difference a published count needs an explanation. */
const UNEXPLAINED_DIFFERENCE = 0.001;
const MIB_PER_GIB = 1024;
/** What a tokenizer takes at most, bytes a token: GGUF files keep 24 to 65, tokenizer.json of a repository up to 140. */
const TOKENIZER_BYTES_PER_TOKEN = 145;
/** A router of 16 bits among four-bit matrices is not worth a format of its own. */
const LEFT_ALONE_SHARE = 0.002;

describe("models", () => {
  it("are 150 or more", () => expect(models.length).toBeGreaterThanOrEqual(150));

  it.each(models.map((model) => [model.slug, model] as const))(
    "%s has the parameters its publisher says, or a note why not",
    (_, { publishedParameters, parametersNote, architecture }) => {
      const { total } = countParameters(architecture);
      expect(Number.isSafeInteger(total)).toBe(true);
      const difference = publishedParameters === null ? 0 : Math.abs(total / publishedParameters - 1);
      expect(difference > UNEXPLAINED_DIFFERENCE).toBe(parametersNote !== null);
    },
  );

  it("are named by one rule", () => {
    const named = models.filter(({ huggingFaceRepo }) => huggingFaceRepo !== null);
    expect(named.filter(({ slug, huggingFaceRepo }) => slug !== slugOfRepo(huggingFaceRepo ?? ""))).toEqual([]);
  });

  // Elements of the tensors in GGUF conversions, as llama-bench prints them, constants not counted.
  it.each([
    ["deepseek-v3", 671_026_419_200],
    ["llama-3.1-8b", 8_030_261_248],
    ["llama-3.1-70b", 70_553_706_496],
    ["qwen3-30b-a3b", 30_532_122_624],
    ["qwen3.6-35b-a3b", 34_660_610_688],
    ["gpt-oss-120b", 116_829_156_672],
    ["glm-4.5-air", 106_852_251_264],
  ])("%s has %i parameters", (slug, parameters) => {
    const model = models.find((row) => row.slug === slug);
    expect(model && countParameters(model.architecture).total).toBe(parameters);
  });
});

describe("models with towers and prediction blocks", () => {
  // Parameter counts of the safetensors files, Hugging Face API, May 2026.
  it.each([
    ["gemma-4-e2b-it", 5_123_178_051],
    ["gemma-4-e4b-it", 7_996_156_490],
    ["internvl3-8b-hf", 7_944_373_760],
    ["smolvlm-instruct", 2_246_272_880],
    ["aya-vision-8b", 8_631_842_032],
  ])("%s has %i parameters in all", (slug, parameters) => {
    const model = models.find((row) => row.slug === slug);
    const count = model && countParameters(model.architecture);
    expect(count && count.total + count.encoders + count.nextTokenPrediction).toBe(parameters);
  });
});

describe("published files", () => {
  const linked = modelFiles.filter(({ quantFormat }) => quantFormat !== null);

  it("are 40 or more in formats of the catalogue", () => expect(linked.length).toBeGreaterThanOrEqual(40));

  it.each(linked.map((file) => [file.slug, file] as const))(
    "%s holds the tensors that its format's rule lists, and a tokenizer",
    (_, { model, quantFormat, sizeBytes }) => {
      const architecture = models.find(({ slug }) => slug === model)?.architecture;
      const scheme = quantFormats.find(({ slug }) => slug === quantFormat)?.scheme;
      if (!architecture || !scheme) throw new Error("The row refers to nothing.");
      const stored = storeTensors(architecture, scheme);
      const tensors = stored.reduce((sum, { bytes }) => sum + bytes, 0);
      const tokenizer = architecture.vocabularySize * TOKENIZER_BYTES_PER_TOKEN;
      expect(sizeBytes).toBeGreaterThan(tensors);
      expect(sizeBytes - tensors).toBeLessThan(Math.max(tokenizer, LEFT_ALONE_SHARE * sizeBytes));
    },
  );
});

describe("gpus", () => {
  it("say how usable memory is known wherever they state it", () => {
    const unexplained = gpus.filter((gpu) => (gpu.memoryUsableMib === null) !== (gpu.memoryUsableBasis === null));
    expect(unexplained).toEqual([]);
  });

  it("never offer more than their nominal memory", () => {
    const tooMuch = gpus.filter((gpu) => (gpu.memoryUsableMib ?? 0) > gpu.memoryNominalGib * MIB_PER_GIB);
    expect(tooMuch).toEqual([]);
  });

  // Totals that CUDA, HIP and Metal print, MiB.
  it.each([
    ["nvidia-h100-sxm5-80gb", 81_081],
    ["nvidia-h200-sxm-141gb", 143_155],
    ["nvidia-rtx-3090-24gb", 24_124],
    ["nvidia-rtx-4090-24gb", 24_210],
    ["amd-mi300x-192gb", 196_592],
    ["apple-m5-max-128gb", 110_100],
  ])("%s lets a process have %i MiB", (slug, mib) => {
    expect(gpus.find((gpu) => gpu.slug === slug)?.memoryUsableMib).toBe(mib);
  });
});

describe("files", () => {
  it("are as an export writes them: `npm run catalog -- format seed` makes them so", async () => {
    const sections = await readCatalogueFiles(SEED_FOLDER);
    const files = toFolder(parseDocument(normalizeFiles(sections), "seed", []));
    for (const [name, text] of files) {
      const isSame = readFileSync(new URL(name, import.meta.url), "utf8") === text;
      expect(`${name}: ${isSame}`).toBe(`${name}: true`);
    }
    expect(files.size).toBe(9);
  });
});

function read<Row>(name: string): Row[] {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), "utf8")) as Row[];
}
