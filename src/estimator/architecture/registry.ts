import { AFMOE_FAMILIES } from "./families/afmoe.js";
import { BAILING_HYBRID_FAMILIES } from "./families/bailing-hybrid.js";
import { BERT_FAMILIES } from "./families/bert.js";
import { DEEPSEEK_FAMILIES } from "./families/deepseek.js";
import { DEEPSEEK_V4_FAMILIES } from "./families/deepseek-v4.js";
import { FUSED_FAMILIES } from "./families/fused.js";
import { GEMMA_FAMILIES } from "./families/gemma.js";
import { GLM_MOE_FAMILIES } from "./families/glm-moe.js";
import { HUNYUAN_FAMILIES } from "./families/hunyuan.js";
import { KIMI_LINEAR_FAMILIES } from "./families/kimi-linear.js";
import { LAYER_NORM_FAMILIES } from "./families/layer-norm.js";
import { LLAMA_FAMILIES } from "./families/llama.js";
import { LONGCAT_FAMILIES } from "./families/longcat.js";
import { MIXTURE_FAMILIES } from "./families/mixture.js";
import { NEMOTRON_NAS_FAMILIES } from "./families/nemotron-nas.js";
import { OLMO_FAMILIES } from "./families/olmo.js";
import { QWEN_FAMILIES } from "./families/qwen.js";
import { QWEN_HYBRID_FAMILIES } from "./families/qwen-hybrid.js";
import { SAMBAY_FAMILIES } from "./families/sambay.js";
import { STATE_SPACE_FAMILIES } from "./families/state-space.js";
import type { Family } from "./family.js";

/** Every family described here. A new one is a file under `families/` and a line below. */
const FAMILIES: readonly Family[] = [
  ...LLAMA_FAMILIES,
  ...QWEN_FAMILIES,
  ...FUSED_FAMILIES,
  ...OLMO_FAMILIES,
  ...LAYER_NORM_FAMILIES,
  ...GEMMA_FAMILIES,
  ...MIXTURE_FAMILIES,
  ...GLM_MOE_FAMILIES,
  ...HUNYUAN_FAMILIES,
  ...AFMOE_FAMILIES,
  ...DEEPSEEK_FAMILIES,
  ...DEEPSEEK_V4_FAMILIES,
  ...LONGCAT_FAMILIES,
  ...BAILING_HYBRID_FAMILIES,
  ...QWEN_HYBRID_FAMILIES,
  ...KIMI_LINEAR_FAMILIES,
  ...STATE_SPACE_FAMILIES,
  ...SAMBAY_FAMILIES,
  ...NEMOTRON_NAS_FAMILIES,
  ...BERT_FAMILIES,
];

const BY_MODEL_TYPE = indexBy((family) => family.modelTypes);
const BY_ARCHITECTURE = indexBy((family) => family.architectures);

export const familyOfModelType = (modelType: string): Family | undefined => BY_MODEL_TYPE.get(modelType);

export const familyOfArchitecture = (name: string): Family | undefined => BY_ARCHITECTURE.get(name);

/** The family that a config without type and architecture is told by, from the fields it has. */
export const familyOfFields = (has: (field: string) => boolean): Family | undefined =>
  FAMILIES.find(({ signature }) => signature !== undefined && has(signature));

/** All `model_type` values that are described, sorted. */
export const knownModelTypes = (): string[] => [...BY_MODEL_TYPE.keys()].sort();

function indexBy(keysOf: (family: Family) => readonly string[]): ReadonlyMap<string, Family> {
  const index = new Map<string, Family>();
  for (const family of FAMILIES) {
    for (const key of keysOf(family)) {
      if (index.has(key)) throw new Error(`Two families describe "${key}".`);
      index.set(key, family);
    }
  }
  return index;
}
