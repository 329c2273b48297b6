import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture } from "../architecture/architecture.js";
import { architectureFromConfig } from "../architecture/from-config.js";
import { countParameters } from "./count-parameters.js";
import { groupPredictionTensors, listTensors } from "./list-tensors.js";
import { membersOf } from "./tensor.js";

const fixture = (path: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../test/fixtures/${path}`, import.meta.url), "utf8"));

const architectureOf = (name: string): Architecture => architectureFromConfig(fixture(`configs/${name}.json`));

interface Counts {
  models: {
    config: string;
    ggufArchitecture: string | null;
    gguf?: { tensors: number; elements?: number };
    published?: { parameters: number; counts: PublishedKind; tiedTwice?: boolean };
  }[];
}
type PublishedKind = "parameters" | "with prediction blocks" | "with encoders" | "with both";

interface Shapes {
  files: { config: string; file: string; prediction: boolean; tensors: [string, number[], string][] }[];
}

const counts = fixture("tensors/counts.json") as Counts;
const shapes = fixture("tensors/shapes.json") as Shapes;

/** Published counts hold buffers too (rotary tables, router biases): a few thousand values at most. */
const PUBLISHED_TOLERANCE = 2e-5;

describe("tensors of models as llama.cpp reads them", () => {
  const known = counts.models.flatMap(({ gguf, ...rest }) => (gguf ? [{ ...rest, gguf }] : []));

  it.each(known)("$config has $gguf.tensors tensors", ({ config, ggufArchitecture, gguf }) => {
    const architecture = architectureOf(config);
    const tensors = listTensors(architecture);
    expect(architecture.ggufArchitecture).toBe(ggufArchitecture);
    expect(tensors).toHaveLength(gguf.tensors);
    if (gguf.elements !== undefined) {
      expect(tensors.reduce((sum, { elements }) => sum + elements, 0)).toBe(gguf.elements);
    }
  });

  it("covers a good part of what is described", () => {
    expect(known.length).toBeGreaterThan(55);
    expect(new Set(known.map(({ ggufArchitecture }) => ggufArchitecture)).size).toBeGreaterThan(35);
  });
});

describe("tensors of published files", () => {
  it.each(shapes.files)("$file has exactly these names and shapes", ({ config, prediction, tensors }) => {
    const architecture = architectureOf(config);
    const ours = listTensors(architecture).filter(
      ({ layer }) => prediction || layer === null || layer < architecture.layers.length,
    );
    const theirs = tensors.flatMap(([name, shape, layers]) =>
      layers === ""
        ? [{ name, shape }]
        : layerNumbers(layers).map((layer) => ({ name: `blk.${layer}.${name.slice(2)}`, shape })),
    );
    const sorted = (list: { name: string; shape: readonly number[] }[]): string[] =>
      list.map(({ name, shape }) => `${name} ${shape.join("x")}`).sort();
    expect(sorted(ours)).toEqual(sorted(theirs));
  });
});

/** "0-2,5" -> 0, 1, 2, 5 */
function layerNumbers(ranges: string): number[] {
  return ranges.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

describe("parameters", () => {
  const published = counts.models.flatMap(({ published, ...rest }) => (published ? [{ ...rest, published }] : []));

  it.each(published)("$config: $published.parameters ($published.counts)", ({ config, published }) => {
    const architecture = architectureOf(config);
    const { total, nextTokenPrediction, encoders } = countParameters(architecture);
    const ours: Record<PublishedKind, number> = {
      parameters: total,
      "with prediction blocks": total + nextTokenPrediction,
      "with encoders": total + encoders,
      "with both": total + nextTokenPrediction + encoders,
    };
    const twice = published.tiedTwice ? architecture.hiddenSize * architecture.vocabularySize : 0;
    const error = (ours[published.counts] + twice) / published.parameters - 1;
    expect(Math.abs(error)).toBeLessThan(PUBLISHED_TOLERANCE);
  });

  it("of DeepSeek-V3 are 671,026,419,200, of which a token uses 37.6 billion", () => {
    const { total, active, byRole, nextTokenPrediction } = countParameters(architectureOf("deepseek-v3"));
    expect(total).toBe(671_026_419_200);
    expect(active).toBe(total - 653_908_770_816 * (1 - 8 / 256));
    expect(byRole.EXPERTS).toBe(58 * 256 * 3 * 7168 * 2048);
    expect(Object.values(byRole).reduce((sum, count) => sum + count, 0)).toBe(total);
    // One more layer of experts, a projection of two hidden sizes onto one, and three norms.
    expect(nextTokenPrediction).toBe(11_610_068_224);
  });

  it("of the first ChatGLM are 6,173,286,400, as its safetensors files hold", () => {
    expect(countParameters(architectureOf("chatglm-6b")).total).toBe(6_173_286_400);
  });

  it("do not count rope factors, which are tensors of the file all the same", () => {
    const architecture = architectureOf("meta-llama-3.1-8b");
    const factors = listTensors(architecture).filter(({ isParameter }) => !isParameter);
    expect(factors).toMatchObject([{ name: "rope_freqs.weight", shape: [64] }]);
    expect(countParameters(architecture).total).toBe(8_030_261_248);
  });

  it("do not count the integer table of hash routing", () => {
    const tables = listTensors(architectureOf("deepseek-v4-flash")).filter(({ isInteger }) => isInteger);
    expect(tables.map(({ name, shape }) => ({ name, shape }))).toEqual(
      [0, 1, 2].map((layer) => ({ name: `blk.${layer}.ffn_gate_tid2eid.weight`, shape: [6, 129280] })),
    );
    expect(tables.every(({ isParameter }) => !isParameter)).toBe(true);
  });

  it("of BERT include the pooler that GGUF files leave out", () => {
    const architecture = architectureOf("bge-large-en");
    const inFile = listTensors(architecture).reduce((sum, { elements }) => sum + elements, 0);
    expect(countParameters(architecture).total - inFile).toBe(1024 * 1024 + 1024);
  });
});

describe("prediction blocks", () => {
  it("follow the last layer, are marked, and are not part of the model's own count", () => {
    const architecture = architectureOf("glm-5.1");
    const blocks = groupPredictionTensors(architecture).flatMap(membersOf);
    expect(new Set(blocks.map(({ layer }) => layer))).toEqual(new Set([78]));
    expect(blocks.every(({ role }) => role === "NEXT_TOKEN_PREDICTION")).toBe(true);
    expect(listTensors(architecture).filter(({ layer }) => layer === 78)).toHaveLength(blocks.length);
  });

  it("have an output matrix of their own in Step-3.5, whose page counts them", () => {
    const config = fixture("configs/step-3.5-flash.json") as object;
    const { total, nextTokenPrediction } = countParameters(
      architectureFromConfig({ ...config, num_nextn_predict_layers: 3 }),
    );
    expect(total + nextTokenPrediction).toBe(199_384_301_376);
  });

  it("have vocabulary matrices that are counted where the config is silent, and listed where it says so", () => {
    const config = fixture("configs/glm-4.5.json") as object;
    const count = (stated: object): [parameters: number, listed: number] => {
      const architecture = architectureFromConfig({ ...config, ...stated });
      return [countParameters(architecture).nextTokenPrediction, listTensors(architecture).length];
    };
    const matrices = 2 * 5120 * 151_552;
    const [parameters, listed] = count({});
    expect(count({ mtp_use_dedicated_embeddings: true })).toEqual([parameters, listed + 2]);
    expect(count({ mtp_use_dedicated_embeddings: false })).toEqual([parameters - matrices, listed]);
  });

  it("that conversion drops are counted, but not listed", () => {
    const architecture = architectureOf("deepseek-v3");
    expect(groupPredictionTensors(architecture).flatMap(membersOf).length).toBeGreaterThan(0);
    expect(listTensors(architecture).every(({ layer }) => layer === null || layer < 61)).toBe(true);
  });
});

describe("order", () => {
  it.each(["deepseek-v3", "qwen3.5-27b", "gemma-3-27b-it"])("of %s is by layer, then by name", (name) => {
    const tensors = listTensors(architectureOf(name));
    const sorted = [...tensors].sort(
      (a, b) => (a.layer ?? -1) - (b.layer ?? -1) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
    );
    expect(tensors.map(({ name }) => name)).toEqual(sorted.map(({ name }) => name));
  });
});

describe("any Llama-like model", () => {
  const config = fc
    .record({
      kvHeads: fc.integer({ min: 1, max: 16 }),
      queriesPerKey: fc.integer({ min: 1, max: 16 }),
      headDim: fc.integer({ min: 1, max: 256 }),
      hiddenSize: fc.integer({ min: 1, max: 8192 }),
      size: fc.integer({ min: 1, max: 32768 }),
      layers: fc.integer({ min: 1, max: 130 }),
      vocabulary: fc.integer({ min: 1, max: 262144 }),
      tied: fc.boolean(),
      experts: fc.option(
        fc.record({ count: fc.integer({ min: 1, max: 512 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
        {
          nil: undefined,
        },
      ),
    })
    .map((shape) => ({ ...shape, heads: shape.kvHeads * shape.queriesPerKey }));

  it("adds up to the closed form, and every tensor of a layer carries its number", () => {
    fc.assert(
      fc.property(config, (shape) => {
        const { heads, kvHeads, headDim, hiddenSize, size, layers, vocabulary, tied, experts } = shape;
        const used = experts ? Math.max(1, Math.floor(experts.share * experts.count)) : 0;
        const architecture = architectureFromConfig({
          model_type: experts ? "mixtral" : "llama",
          hidden_size: hiddenSize,
          intermediate_size: size,
          num_hidden_layers: layers,
          num_attention_heads: heads,
          num_key_value_heads: kvHeads,
          head_dim: headDim,
          vocab_size: vocabulary,
          max_position_embeddings: 4096,
          tie_word_embeddings: tied,
          ...(experts ? { num_local_experts: experts.count, num_experts_per_tok: used } : {}),
        });
        const tensors = listTensors(architecture);
        const count = experts?.count ?? 1;
        const attention = 2 * hiddenSize * headDim * (heads + kvHeads);
        const mlp = 3 * hiddenSize * size;
        const layer = attention + mlp * count + (experts ? hiddenSize * count : 0) + 2 * hiddenSize;
        const outside = (tied ? 1 : 2) * vocabulary * hiddenSize + hiddenSize;
        const { total, active } = countParameters(architecture);
        expect(total).toBe(layers * layer + outside);
        expect(total - active).toBe(experts ? layers * mlp * (count - used) : 0);
        expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
        for (const { name, layer: number } of tensors) {
          expect(name.startsWith("blk.")).toBe(number !== null);
          if (number !== null) expect(name.startsWith(`blk.${number}.`)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});
