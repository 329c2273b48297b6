import { describe, expect, it } from "vitest";
import { architectureFromConfig } from "./from-config.js";

const LLAMA = {
  model_type: "llama",
  vocab_size: 32_000,
  hidden_size: 4096,
  intermediate_size: 11_008,
  num_hidden_layers: 2,
  num_attention_heads: 32,
  max_position_embeddings: 131_072,
};

const tablesOf = (config: Record<string, unknown>) => architectureFromConfig({ ...LLAMA, ...config }).rotaryTables;

/*
 * Lengths as in vLLM, layers/rotary_embedding (get_rope and the classes it chooses), that printed start-up weights
 * confirm: Gemma 3 27B 0.29 GiB beside its checkpoint, Qwen3.5-4B 0.125, Granite 3.3 8B 0.03 (vLLM 0.19 and later).
 */
describe("readRotaryTables", () => {
  it.each<[string, Record<string, unknown>, { width: number; positions: number }[]]>([
    ["the whole head over the context", {}, [{ width: 128, positions: 131_072 }]],
    ["Llama 3's scaling", { rope_scaling: { rope_type: "llama3", factor: 8 } }, [{ width: 128, positions: 131_072 }]],
    [
      "linear scaling: as often the context",
      { rope_scaling: { type: "linear", factor: 8 } },
      [{ width: 128, positions: 1_048_576 }],
    ],
    [
      "YaRN: as often the original context",
      { rope_scaling: { type: "yarn", factor: 40, original_max_position_embeddings: 4096 } },
      [{ width: 128, positions: 163_840 }],
    ],
    [
      "long rope: both lengths",
      { rope_parameters: { rope_type: "longrope", original_max_position_embeddings: 4096 } },
      [{ width: 128, positions: 135_168 }],
    ],
    ["a share of the head", { partial_rotary_factor: 0.25 }, [{ width: 32, positions: 131_072 }]],
    ["absurd values", { rope_scaling: { factor: "x", mrope_section: 7 }, partial_rotary_factor: -3 }, []],
  ])("covers %s", (_name, config, tables) => {
    expect(tablesOf(config) ?? []).toEqual(tables);
  });

  it("keeps a table for windowed layers of another base, and one for each width", () => {
    const gemma3 = {
      model_type: "gemma3_text",
      head_dim: 128,
      num_hidden_layers: 12,
      num_key_value_heads: 16,
      sliding_window: 1024,
      rope_scaling: { rope_type: "linear", factor: 8 },
    };
    expect(tablesOf(gemma3)).toEqual([
      { width: 128, positions: 131_072 },
      { width: 128, positions: 1_048_576 },
    ]);
    expect(tablesOf({ ...gemma3, rope_scaling: null, rope_theta: 10_000 })).toEqual([
      { width: 128, positions: 131_072 },
    ]);
  });

  it("knows positions with sections", () => {
    const rope_parameters = { rope_type: "default", mrope_section: [16, 24, 24] };
    expect(tablesOf({ rope_parameters })).toEqual([{ width: 128, positions: 131_072, sectioned: true }]);
  });

  it("has none where positions are learned or biases", () => {
    const bert = { model_type: "bert", type_vocab_size: 2, max_position_embeddings: 512 };
    expect(tablesOf(bert)).toBeUndefined();
  });
});
