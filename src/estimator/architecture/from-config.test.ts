import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Architecture, Attention } from "./architecture.js";
import { ConfigError } from "./config-error.js";
import { architectureFromConfig } from "./from-config.js";

const FIXTURES = new URL("../../../test/fixtures/configs/", import.meta.url);
type Config = Record<string, unknown>;

/** Where multimodal configs keep the text model. */
const TEXT_PARTS = ["text_config", "language_config", "llm_config", "thinker_config"];

const isObject = (value: unknown): value is Config =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const configOf = (name: string): Config => JSON.parse(readFileSync(new URL(`${name}.json`, FIXTURES), "utf8"));
const architectureOf = (name: string): Architecture => architectureFromConfig(configOf(name));
const names = readdirSync(FIXTURES).map((file) => file.replace(/\.json$/, ""));

const LLAMA: Config = {
  model_type: "llama",
  architectures: ["LlamaForCausalLM"],
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
};

/** The error that a config is refused with; fails if it is not. */
function refusalOf(config: unknown): ConfigError {
  try {
    architectureFromConfig(config);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("The config was accepted.");
}

const attentionOf = (architecture: Architecture, layer: number): Attention | undefined =>
  architecture.blocks[architecture.layers[layer] ?? ""]?.attention;

/** Layers of one kind of attention, by what they cache. */
function cachedLayers(architecture: Architecture): Record<string, number> {
  const found: Record<string, number> = {};
  architecture.layers.forEach((name) => {
    const { attention, recurrent } = architecture.blocks[name] ?? {};
    const kinds = [
      attention && (("window" in attention && attention.window?.kind) || attention.kind),
      attention && "sharesCache" in attention && attention.sharesCache ? "shared" : undefined,
      recurrent?.kind,
    ];
    const kind = kinds.filter(Boolean).join("+") || "none";
    found[kind] = (found[kind] ?? 0) + 1;
  });
  return found;
}

describe("which layers cache what", () => {
  // Numbers of layers in llama.cpp's KV cache logs (July 2026 build), or in the models' own lists.
  it.each([
    ["gemma-2-2b", { sliding: 13, grouped: 13 }],
    ["gemma-3-27b-it", { sliding: 52, grouped: 10 }],
    ["gemma-4-26b-a4b", { sliding: 25, grouped: 5 }],
    ["gemma-3n-e2b-it", { sliding: 16, grouped: 4, "sliding+shared": 8, "grouped+shared": 2 }],
    ["gpt-oss-120b", { sliding: 18, grouped: 18 }],
    ["c4ai-command-r7b-12-2024", { sliding: 24, grouped: 8 }],
    ["exaone-4.0-32b", { sliding: 48, grouped: 16 }],
    ["mimo-v2-flash", { sliding: 39, grouped: 9 }],
    ["step-3.5-flash", { sliding: 33, grouped: 12 }],
    ["muse-glimmer-30b", { sliding: 39, grouped: 13 }],
    ["k-exaone-236b-a23b", { sliding: 36, grouped: 12 }],
    ["laguna-xs.2-fp8", { sliding: 30, grouped: 10 }],
    ["llama-4-scout-17b-16e-instruct", { chunked: 36, grouped: 12 }],
    ["qwen2.5-72b", { grouped: 80 }],
    ["mistral-7b-v0.1", { grouped: 32 }],
    ["deepseek-v3", { latent: 61 }],
    ["mistral-small-4-119b", { latent: 36 }],
    ["deepseek-v4-flash", { sliding: 43 }],
    ["qwen3-next-80b-a3b-instruct", { grouped: 12, "gated-delta-net": 36 }],
    ["qwen3.5-27b", { grouped: 16, "gated-delta-net": 48 }],
    ["kimi-linear-48b-a3b-instruct", { latent: 7, "kimi-delta-attention": 20 }],
    ["nvidia-nemotron-3-nano-30b-a3b-bf16", { grouped: 6, mamba2: 23, none: 23 }],
    ["granite-4.0-h-small", { grouped: 4, mamba2: 36 }],
    ["bamba-9b", { grouped: 3, mamba2: 29 }],
    ["falcon-h1-7b-instruct", { "grouped+mamba2": 44 }],
    ["jamba-v0.1", { grouped: 4, mamba1: 28 }],
    ["lfm2-8b-a1b", { grouped: 6, "short-convolution": 18 }],
  ])("%s", (name, expected) => {
    expect(cachedLayers(architectureOf(name))).toEqual(expected);
  });

  it("MiMo-V2's sliding layers have twice the KV heads of its full ones", () => {
    const architecture = architectureOf("mimo-v2-flash");
    expect(attentionOf(architecture, 0)).toMatchObject({ kvHeads: 4, keyDim: 192, valueDim: 128 });
    expect(attentionOf(architecture, 1)).toMatchObject({ kvHeads: 8, window: { kind: "sliding", size: 128 } });
  });

  it("Gemma 4's full layers have wider heads, fewer KV heads, and keys for values", () => {
    const architecture = architectureOf("gemma-4-26b-a4b");
    expect(attentionOf(architecture, 5)).toMatchObject({ kvHeads: 2, keyDim: 512, valueDim: 512, valueIsKey: true });
    expect(attentionOf(architecture, 0)).toMatchObject({ kvHeads: 8, keyDim: 256, window: { size: 1024 } });
  });

  it("GLM-5.2 shares indexers: 21 of 78 layers have one; in GLM-5.1 every layer has", () => {
    const indexers = (name: string): number => {
      const architecture = architectureOf(name);
      return architecture.layers.filter((block) => {
        const attention = architecture.blocks[block]?.attention;
        return attention?.kind === "latent" && attention.indexer;
      }).length;
    };
    expect(indexers("glm-5.2")).toBe(21);
    expect(indexers("glm-5.1")).toBe(78);
    const { indexer_types, ...byFrequency } = configOf("glm-5.2");
    expect(indexer_types).toHaveLength(78);
    expect(architectureFromConfig({ ...byFrequency, index_topk_freq: 4, index_skip_topk_offset: 3 }).layers).toEqual(
      architectureOf("glm-5.2").layers,
    );
  });

  it("Qwen 2 has a window only where use_sliding_window is on, from max_window_layers on", () => {
    const config = { ...configOf("qwen2.5-72b"), sliding_window: 4096, max_window_layers: 70 };
    expect(cachedLayers(architectureFromConfig({ ...config, use_sliding_window: false }))).toEqual({ grouped: 80 });
    expect(cachedLayers(architectureFromConfig({ ...config, use_sliding_window: true }))).toEqual({
      grouped: 70,
      sliding: 10,
    });
  });
});

describe("spellings", () => {
  it("reads a text part, its own defaults and the outer object's fields", () => {
    const nested = architectureFromConfig({
      model_type: "llava",
      architectures: ["LlavaForConditionalGeneration"],
      tie_word_embeddings: false,
      text_config: { model_type: "llama", vocab_size: 32064, max_position_embeddings: 4096 },
    });
    expect(nested).toMatchObject({ hiddenSize: 4096, vocabularySize: 32064, tiedEmbeddings: false });
    expect(nested.layers).toHaveLength(32);
    for (const part of ["language_config", "llm_config"]) {
      expect(architectureFromConfig({ model_type: "some_vlm", [part]: LLAMA }).hiddenSize).toBe(4096);
    }
  });

  it("is the same wherever the text part stands", () => {
    for (const name of names) {
      const config = configOf(name);
      if (TEXT_PARTS.some((part) => part in config)) continue;
      const plainly = architectureFromConfig(config);
      for (const part of TEXT_PARTS) {
        expect(architectureFromConfig({ model_type: "some_vlm", [part]: config }).blocks).toEqual(plainly.blocks);
      }
      const twice = { model_type: "some_omni", thinker_config: { model_type: "thinker", text_config: config } };
      expect(architectureFromConfig(twice)).toMatchObject({ layers: plainly.layers, tensors: plainly.tensors });
    }
  });

  it("fills in the family's defaults in a nested part, but not for what is stated as null", () => {
    const nested = (text: Config): Architecture =>
      architectureFromConfig({ model_type: "some_vlm", text_config: { model_type: "cohere2", ...text } });
    expect(cachedLayers(nested({}))).toEqual({ sliding: 30, grouped: 10 });
    expect(cachedLayers(nested({ sliding_window: null }))).toEqual({ grouped: 40 });
    const { head_dim, ...qwen } = configOf("qwen3-14b");
    expect(head_dim).toBe(128);
    expect(architectureFromConfig({ ...qwen, hidden_size: 4096, num_attention_heads: 64 }).blocks).toMatchObject({
      "full-dense": { attention: { keyDim: 128 } },
    });
  });

  it("reads the kinds of layer by the names of transformers 4 and 5", () => {
    const renamed = (name: string, field: string, words: Record<string, string>): Architecture => {
      const config = configOf(name);
      return architectureFromConfig({
        ...config,
        [field]: (config[field] as string[]).map((word) => words[word] ?? word),
      });
    };
    const now = { mamba: "linear_attention", attention: "full_attention" };
    expect(renamed("granite-4.0-h-small", "layer_types", now)).toEqual(architectureOf("granite-4.0-h-small"));

    const { hybrid_override_pattern: letters, ...nemotron } = configOf("nemotron-h-56b-base-8k");
    const words: Record<string, string> = { M: "linear_attention", "*": "full_attention", "-": "mlp" };
    const listed = { ...nemotron, layers_block_type: [...String(letters)].map((letter) => words[letter]) };
    expect(architectureFromConfig(listed)).toEqual(architectureOf("nemotron-h-56b-base-8k"));

    const { compress_ratios: ratios, num_hash_layers: hashed, ...deepseek } = configOf("deepseek-v4-flash");
    const kinds: Record<number, string> = {
      0: "sliding_attention",
      4: "compressed_sparse_attention",
      128: "heavily_compressed_attention",
    };
    const named = architectureFromConfig({
      ...deepseek,
      num_nextn_predict_layers: 0,
      layer_types: (ratios as number[]).slice(0, 43).map((ratio) => kinds[ratio]),
      mlp_layer_types: Array.from({ length: 43 }, (_, index) => (index < Number(hashed) ? "hash_moe" : "moe")),
    });
    const { nextTokenPrediction, ...old } = architectureOf("deepseek-v4-flash");
    expect(nextTokenPrediction?.layers).toHaveLength(1);
    expect(named.layers).toEqual(old.layers);
    for (const name of named.layers) expect(named.blocks[name]).toEqual(old.blocks[name]);
  });

  it("reads rope_parameters by kind of layer", () => {
    const stated = { rope_type: "llama3", factor: 8 };
    const byKind = { full_attention: stated, sliding_attention: { rope_type: "default" } };
    expect(architectureFromConfig({ ...LLAMA, rope_parameters: byKind })).toEqual(
      architectureFromConfig({ ...LLAMA, rope_parameters: stated }),
    );
  });

  it("reads rope_parameters (transformers 5) like rope_scaling", () => {
    const old = architectureFromConfig({ ...LLAMA, rope_scaling: { rope_type: "llama3", factor: 8 } });
    const now = architectureFromConfig({ ...LLAMA, rope_parameters: { rope_type: "llama3", factor: 8 } });
    expect(now).toEqual(old);
    expect(now.tensors.map(({ name }) => name)).toEqual(["output_norm.weight", "rope_freqs.weight"]);
  });

  it("knows an architecture without model_type, and a bare model without an output matrix", () => {
    const { model_type, ...config } = LLAMA;
    expect(model_type).toBe("llama");
    expect(architectureFromConfig(config).hasOutput).toBe(true);
    expect(architectureFromConfig({ ...config, architectures: ["LlamaModel"] }).hasOutput).toBe(false);
    expect(architectureOf("e5-mistral-7b-instruct").hasOutput).toBe(false);
    const llamaModel = { ...LLAMA, model_type: "llama_bidirec", architectures: ["LlamaBidirectionalModel"] };
    expect(architectureFromConfig(llamaModel).hasOutput).toBe(false);
    expect(architectureOf("chatglm3-6b").hasOutput).toBe(true);
  });

  it("describes EmbeddingGemma, which attends both ways, without cache and output", () => {
    const architecture = architectureFromConfig({
      model_type: "gemma3_text",
      architectures: ["Gemma3TextModel"],
      use_bidirectional_attention: true,
      hidden_size: 768,
      intermediate_size: 1152,
      num_hidden_layers: 24,
      num_attention_heads: 3,
      num_key_value_heads: 1,
      head_dim: 256,
      vocab_size: 262144,
      max_position_embeddings: 2048,
      sliding_window: 512,
    });
    expect(architecture).toMatchObject({ ggufArchitecture: "gemma-embedding", hasOutput: false });
    for (let layer = 0; layer < architecture.layers.length; layer += 1) {
      expect(attentionOf(architecture, layer)).toMatchObject({ uncached: true });
    }
  });

  it("ties embeddings by the family's default where the config is silent", () => {
    const { tie_word_embeddings, ...gemma } = configOf("gemma-2-2b");
    expect(tie_word_embeddings).toBeUndefined();
    expect(architectureFromConfig(gemma).tiedEmbeddings).toBe(true);
    expect(architectureFromConfig(LLAMA).tiedEmbeddings).toBe(false);
    expect(architectureFromConfig({ ...LLAMA, tie_word_embeddings: true }).tiedEmbeddings).toBe(true);
  });

  it("takes head_dim before hidden_size / heads", () => {
    expect(attentionOf(architectureFromConfig(LLAMA), 0)).toMatchObject({ keyDim: 128 });
    expect(attentionOf(architectureFromConfig({ ...LLAMA, head_dim: 80 }), 0)).toMatchObject({ keyDim: 80 });
  });

  it("is plain data: as JSON it is the same description", () => {
    for (const name of names) {
      const architecture = architectureOf(name);
      expect(JSON.parse(JSON.stringify(architecture))).toEqual(architecture);
    }
  });
});

describe("configs that cannot be right", () => {
  it.each<[string, Config, (string | number)[]]>([
    ["text for a number", { hidden_size: "4096" }, ["hidden_size"]],
    ["a fraction", { num_attention_heads: 32.5 }, ["num_attention_heads"]],
    ["a negative size", { intermediate_size: -1 }, ["intermediate_size"]],
    ["no layers", { num_hidden_layers: 0 }, ["num_hidden_layers"]],
    ["a billion layers", { num_hidden_layers: 1_000_000_000 }, ["num_hidden_layers"]],
    ["not a number", { vocab_size: Number.NaN }, ["vocab_size"]],
    ["an infinite context", { max_position_embeddings: Number.POSITIVE_INFINITY }, ["max_position_embeddings"]],
    ["a context beyond 32 bits", { max_position_embeddings: 2 ** 31 }, ["max_position_embeddings"]],
    ["KV heads that do not divide", { num_key_value_heads: 5 }, ["num_key_value_heads"]],
    ["heads that do not divide the width", { num_attention_heads: 24 }, ["num_attention_heads"]],
    ["text for a flag", { tie_word_embeddings: "true" }, ["tie_word_embeddings"]],
    ["a number for the rope", { rope_scaling: 8 }, ["rope_scaling"]],
    ["a number for the type", { model_type: 7 }, ["model_type"]],
    ["a list for a number", { hidden_size: [4096] }, ["hidden_size"]],
  ])("%s", (_, change, path) => {
    const error = refusalOf({ ...LLAMA, ...change });
    expect(error).toMatchObject({ code: "INVALID", path });
    expect(error.message).toContain(String(path[0]));
  });

  it.each(
    Object.keys(LLAMA).filter((field) => !["architectures", "model_type", "num_key_value_heads"].includes(field)),
  )("without %s", (field) => {
    const { [field]: _, ...config } = LLAMA;
    expect(refusalOf(config)).toMatchObject({ code: "INVALID", path: [field] });
    expect(refusalOf({ model_type: "x", text_config: { ...config, model_type: "internlm2" } }).path).toEqual([
      "text_config",
      field,
    ]);
  });

  it.each<[string, string, Config, (string | number)[]]>([
    ["more experts used than there are", "qwen3-30b-a3b", { num_experts_per_tok: 129 }, ["num_experts_per_tok"]],
    ["no experts", "mixtral-8x7b-v0.1", { num_local_experts: 0 }, ["num_local_experts"]],
    ["a billion experts", "mixtral-8x7b-v0.1", { num_local_experts: 1e9 }, ["num_local_experts"]],
    ["more dense layers than layers", "deepseek-v3", { first_k_dense_replace: 62 }, ["first_k_dense_replace"]],
    ["a zero latent", "deepseek-v3", { kv_lora_rank: 0 }, ["kv_lora_rank"]],
    ["too few layer types", "gpt-oss-20b", { layer_types: ["full_attention"] }, ["layer_types"]],
    ["more layer types than layers", "gpt-oss-20b", { layer_types: Array(30).fill("full_attention") }, ["layer_types"]],
    ["experts of no width", "qwen3-30b-a3b", { moe_intermediate_size: null }, ["moe_intermediate_size"]],
    ["an unknown layer type", "gpt-oss-20b", { layer_types: Array(24).fill("odd") }, ["layer_types", 0]],
    ["a hundred prediction blocks", "deepseek-v3", { num_nextn_predict_layers: 100 }, ["num_nextn_predict_layers"]],
    ["groups that do not divide", "deepseek-v4-flash", { o_groups: 7 }, ["o_groups"]],
    [
      "a pattern of unknown letters",
      "nemotron-h-56b-base-8k",
      { hybrid_override_pattern: "M-Q" },
      ["hybrid_override_pattern", 2],
    ],
    [
      "a pattern of another length",
      "nemotron-h-56b-base-8k",
      { hybrid_override_pattern: "M-M" },
      ["num_hidden_layers"],
    ],
    [
      "value heads that do not fit",
      "qwen3-next-80b-a3b-instruct",
      { linear_num_value_heads: 17 },
      ["linear_num_value_heads"],
    ],
  ])("%s", (_, name, change, path) => {
    expect(refusalOf({ ...configOf(name), ...change })).toMatchObject({ code: "INVALID", path });
  });

  it.each(["llama", "qwen3", "gemma2", "phi3", "olmo2", "internlm2", "bamba"])(
    "experts in the dense architecture %s",
    (model_type) => {
      const config = { ...LLAMA, model_type, architectures: undefined, mamba_n_heads: 64, mamba_d_head: 128 };
      expect(refusalOf({ ...config, num_local_experts: 8, num_experts_per_tok: 2 })).toMatchObject({
        code: "INVALID",
        path: ["num_local_experts"],
      });
    },
  );

  it("possible fields whose product is not", () => {
    const error = refusalOf({ ...LLAMA, hidden_size: 2 ** 24, intermediate_size: 2 ** 24 });
    expect(error).toMatchObject({ code: "INVALID", path: [] });
    expect(error.message).toContain("parameters");
  });

  it.each([
    ["null", null],
    ["a list", []],
    ["text", "llama"],
    ["a number", 7],
    ["nothing", undefined],
  ])("%s instead of an object", (_, value) => {
    expect(refusalOf(value)).toMatchObject({ code: "INVALID", path: [] });
  });

  it("an object that names no architecture", () => {
    expect(refusalOf({ hidden_size: 4096 })).toMatchObject({ code: "INVALID", path: ["model_type"] });
  });

  it.each(["constructor", "__proto__", "toString", ""])("model_type %j", (modelType) => {
    expect(refusalOf({ ...LLAMA, architectures: [], model_type: modelType }).code).toBe("NOT_MODELLED");
  });

  it("an architecture that is not modelled is named, with what is near", () => {
    const error = refusalOf({ ...LLAMA, model_type: "qwen9", architectures: ["Qwen9ForCausalLM"] });
    expect(error).toMatchObject({ code: "NOT_MODELLED", path: ["model_type"] });
    expect(error.message).toContain('"qwen9"');
    expect(error.message).toContain("qwen2");
  });
});

describe("any change to any config", () => {
  const wrong = fc.oneof(
    fc.constantFrom(null, undefined, "", "8", -1, 0, 1, 2, 3, 1.5, 1000, 2 ** 24, 1e9, 1e300, Number.NaN, true, false),
    fc.constantFrom([], {}, [1], ["x"], [null], { a: 1 }, "constructor", "__proto__", [[1]]),
    fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "M".repeat(1000), "1,".repeat(10_000)),
    fc.integer(),
    fc.jsonValue({ maxDepth: 2 }),
  );
  type Change = { pick: number; kind: "delete" | "negate" | "enlarge" | "fraction" | "replace"; value: unknown };
  const change: fc.Arbitrary<Change> = fc.record({
    pick: fc.nat(),
    kind: fc.constantFrom("delete", "negate", "enlarge", "fraction", "replace", "replace"),
    value: wrong,
  });

  function apply(config: Config, { pick, kind, value }: Change): void {
    const owners = [config, ...Object.values(config).filter(isObject)];
    const fields = owners.flatMap((owner) => Object.keys(owner).map((key) => [owner, key] as const));
    const [owner, key] = fields[pick % fields.length] ?? [config, "model_type"];
    const old = owner[key];
    if (kind === "delete") delete owner[key];
    else if (kind === "replace" || typeof old !== "number") owner[key] = value;
    else owner[key] = { negate: -old, enlarge: old * 1e9, fraction: old + 0.5 }[kind];
  }

  it("gives a description or a ConfigError, never anything else, and quickly", () => {
    let longest = 0;
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(change, { minLength: 1, maxLength: 4 }), (name, changes) => {
        const config = configOf(name);
        for (const one of changes) apply(config, one);
        const start = performance.now();
        try {
          architectureFromConfig(config);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as ConfigError).message).toMatch(/^\S.*\.$/s);
        }
        longest = Math.max(longest, performance.now() - start);
      }),
      { numRuns: 1500, seed: 20_260_724 },
    );
    // Below 30 ms on an idle machine.
    expect(longest).toBeLessThan(500);
  });

  it("with a thousand layers, huge lists or deep nesting takes no longer", () => {
    const deep = Array.from({ length: 2000 }).reduce<Config>((inner) => ({ text_config: inner }), { ...LLAMA });
    const hostile: Config[] = [
      { ...LLAMA, num_hidden_layers: 1000 },
      { ...configOf("gemma-4-26b-a4b"), text_config: { model_type: "gemma4_text", num_hidden_layers: 1000 } },
      { ...configOf("gpt-oss-20b"), layer_types: Array(2_000_000).fill("full_attention") },
      { ...configOf("step-3.5-flash"), moe_layers_enum: "1,".repeat(1_000_000) },
      { ...configOf("nemotron-h-56b-base-8k"), hybrid_override_pattern: "M".repeat(3_000_000) },
      { ...LLAMA, architectures: Array(1_000_000).fill("x") },
      { ...LLAMA, model_type: "x".repeat(3_000_000) },
      { model_type: "x", text_config: deep },
    ];
    for (const config of hostile) {
      const start = performance.now();
      try {
        architectureFromConfig(config);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
      }
      expect(performance.now() - start).toBeLessThan(500);
    }
  });
});
