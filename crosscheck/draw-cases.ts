import { readdirSync, readFileSync } from "node:fs";
import type { Architecture, Block } from "../src/estimator/architecture/architecture.js";
import { architectureFromConfig } from "../src/estimator/architecture/from-config.js";
import type { Run } from "./ask-llama-cpp.js";

/** One model in one file type, run in one way. */
export interface Case {
  name: string;
  /** A model that does not exist, and that llama.cpp may have no way to load. */
  isDrawn: boolean;
  architecture: Architecture;
  /** llama-quantize's name, e.g. "Q4_K_M". */
  fileType: string;
  run: Run;
}

/** Numbers that follow from a seed alone. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to below 1 (mulberry32, Tommy Ettinger, public domain). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.next() * items.length)] as T;
  }

  chance(share: number): boolean {
    return this.next() < share;
  }

  /** The items in another order. */
  shuffle<T>(items: readonly T[]): T[] {
    return items
      .map((item) => ({ item, at: this.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ item }) => item);
  }
}

const FILE_TYPES = ["F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K", "Q4_0", "IQ4_XS"];

/** Settings that change what is allocated. Values of a quantized cache need flash attention. */
export function drawRun(dice: Dice): Run {
  const cacheType = dice.pick(["F16", "F16", "F16", "BF16", "F32", "Q8_0", "Q4_0"]);
  return {
    contextTokens: dice.pick([4096, 8192, 10_000, 16_384, 32_768, 65_536]),
    sequences: dice.pick([1, 1, 1, 2, 4]),
    ubatchTokens: dice.pick([128, 512, 512, 512, 1024, 2048]),
    flashAttention: cacheType.startsWith("Q") || dice.chance(0.7),
    swaFull: dice.chance(0.15),
    cacheType,
  };
}

interface CatalogueModel {
  slug: string;
  architecture: Architecture;
}

/** Models of the catalogue, in an order that brings every architecture first before any comes again. */
export function catalogueCases(dice: Dice): Case[] {
  const models = JSON.parse(readFileSync(new URL("../seed/models.json", import.meta.url), "utf8")) as CatalogueModel[];
  const loadable = models.filter(({ architecture }) => architecture.ggufArchitecture !== null);
  const rounds = new Map<string, number>();
  return dice
    .shuffle(loadable)
    .map((model) => {
      const name = model.architecture.ggufArchitecture ?? "";
      const round = rounds.get(name) ?? 0;
      rounds.set(name, round + 1);
      return { model, round };
    })
    .sort((a, b) => a.round - b.round)
    .map(({ model: { slug, architecture } }) => ({
      name: slug,
      isDrawn: false,
      architecture,
      fileType: dice.pick(FILE_TYPES),
      run: drawRun(dice),
    }));
}

type Config = Record<string, unknown>;

/** Real configs that drawn ones are variations of, as the estimator's own tests have them. */
const CONFIG_FOLDER = new URL("../test/fixtures/configs/", import.meta.url);
const CONFIG_FILES = readdirSync(CONFIG_FOLDER).sort();

/** An endless supply of models that do not exist: real configs with some of their sizes drawn anew. */
export function* drawnCases(dice: Dice): Generator<Case> {
  while (true) {
    const file = dice.pick(CONFIG_FILES);
    const drawn = drawArchitecture(dice, file);
    if (drawn === null) continue;
    yield {
      name: `${file.replace(/\.json$/, "")} ${drawn.changes.join(" ")}`,
      isDrawn: true,
      architecture: drawn.architecture,
      fileType: dice.pick(FILE_TYPES),
      run: drawRun(dice),
    };
  }
}

/** How a size of a config is drawn anew, given what it was. Fields that are not there stay away. */
const VARIATIONS: Readonly<Record<string, (was: number, dice: Dice) => number>> = {
  vocab_size: (_, dice) => dice.pick([32_000, 49_155, 65_536, 102_400, 128_256, 200_064]),
  hidden_size: (was, dice) => scaled(was, dice, 128),
  intermediate_size: (was, dice) => scaled(was, dice, 64),
  moe_intermediate_size: (was, dice) => scaled(was, dice, 64),
  num_attention_heads: (was, dice) => dice.pick([was / 2, was * 2].filter(Number.isInteger)),
  num_key_value_heads: (was, dice) => dice.pick([1, was * 2, was / 2].filter(Number.isInteger)),
  head_dim: (_, dice) => dice.pick([64, 96, 128, 192, 256]),
  num_hidden_layers: (was, dice) => was + dice.pick([-8, -4, 4, 8]),
  sliding_window: (_, dice) => dice.pick([128, 512, 1000, 1024, 2048, 4096]),
  num_experts: (was, dice) => dice.pick([was / 2, was * 2].filter(Number.isInteger)),
  n_routed_experts: (was, dice) => dice.pick([was / 2, was * 2].filter(Number.isInteger)),
  num_local_experts: (was, dice) => dice.pick([was / 2, was * 2].filter(Number.isInteger)),
  num_experts_per_tok: (was, dice) => Math.max(1, was + dice.pick([-2, -1, 1, 2])),
  q_lora_rank: (_, dice) => dice.pick([512, 768, 1024, 2048]),
  kv_lora_rank: (_, dice) => dice.pick([256, 384, 512, 1024]),
  v_head_dim: (_, dice) => dice.pick([64, 128, 192]),
  linear_num_value_heads: (was, dice) => dice.pick([was / 2, was * 2]),
  mamba_d_state: (_, dice) => dice.pick([64, 128, 256]),
  conv_L_cache: (_, dice) => dice.pick([3, 4, 5]),
};

/** Between half and twice as much, a multiple of `step`. */
function scaled(was: number, dice: Dice, step: number): number {
  return Math.max(1, Math.round((was * (0.5 + 1.5 * dice.next())) / step)) * step;
}

/** Sizes changed at once in one config. */
const MAX_CHANGES = 4;
/** Attempts at one config before it is given up: many sizes do not go together. */
const MAX_ATTEMPTS = 40;

function drawArchitecture(dice: Dice, file: string): { architecture: Architecture; changes: string[] } | null {
  const config = JSON.parse(readFileSync(new URL(file, CONFIG_FOLDER), "utf8")) as Config;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const varied = structuredClone(config);
    const text = textPart(varied);
    const fields = Object.keys(VARIATIONS).filter((field) => typeof text[field] === "number");
    const changes = dice.shuffle(fields).slice(0, 1 + Math.floor(dice.next() * MAX_CHANGES));
    for (const field of changes) {
      text[field] = VARIATIONS[field]?.(text[field] as number, dice);
    }
    const architecture = describedOrNull(varied);
    if (architecture !== null) {
      return { architecture, changes: changes.map((field) => `${field}=${text[field]}`) };
    }
  }
  return null;
}

/** The object with the text model's sizes. */
function textPart(config: Config): Config {
  const inner = config.text_config ?? config.language_config;
  return typeof inner === "object" && inner !== null && "hidden_size" in inner ? (inner as Config) : config;
}

/** Null for a config that the estimator refuses and for one that llama.cpp cannot be told of. */
function describedOrNull(config: Config): Architecture | null {
  try {
    const architecture = architectureFromConfig(config);
    const isLoadable =
      architecture.ggufArchitecture !== null && Object.values(architecture.blocks).every(isExpressible);
    const isTold = [haveEqualHeads, hasExpectedQueries, hasOneVocabulary].every((holds) => holds(architecture));
    return isLoadable && isTold ? architecture : null;
  } catch {
    return null;
  }
}

/** Keys and values of every cache type are whole blocks of this many. */
const CACHE_BLOCK = 32;

/** Heads that every cache type can store, and shared experts that are a whole number of routed ones in size. */
function isExpressible({ attention, experts }: Block): boolean {
  const widths = attention?.kind === "grouped" ? [attention.keyDim, attention.valueDim] : [];
  const sharedSize = experts?.shared?.size ?? 0;
  return widths.every((width) => width % CACHE_BLOCK === 0) && sharedSize % (experts?.size ?? 1) === 0;
}

/** Loaders that take queries in one matrix with keys and values for as wide as the residual stream. */
const QUERIES_AS_WIDE_AS_HIDDEN: ReadonlySet<string> = new Set(["bailingmoe2"]);

function hasExpectedQueries({ ggufArchitecture, blocks, hiddenSize }: Architecture): boolean {
  const widths = Object.values(blocks).flatMap(({ attention }) =>
    attention?.kind === "grouped" ? attention.heads * attention.keyDim : [],
  );
  return !QUERIES_AS_WIDE_AS_HIDDEN.has(ggufArchitecture ?? "") || widths.every((width) => width === hiddenSize);
}

/** Embeddings for each layer are loaded for as many tokens as the vocabulary has. */
function hasOneVocabulary({ tensors, vocabularySize }: Architecture): boolean {
  const table = tensors.find(({ name }) => name === "per_layer_token_embd.weight");
  return table === undefined || table.shape[1] === vocabularySize;
}

/** Kimi's linear layers have the number of heads that its other layers have. */
function haveEqualHeads(architecture: Architecture): boolean {
  const blocks = Object.values(architecture.blocks);
  const linear = blocks.flatMap(({ recurrent }) => (recurrent?.kind === "kimi-delta-attention" ? recurrent.heads : []));
  const others = blocks.flatMap(({ attention }) => attention?.heads ?? []);
  return linear.every((heads) => others.every((other) => other === heads));
}
