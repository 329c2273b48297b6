import type { Architecture } from "../architecture/architecture.js";
import { onceFor } from "../once-for.js";
import type { QuantScheme, StoredGroup } from "../quantization/scheme.js";
import { storeGroups } from "../quantization/store-tensors.js";
import { groupTensors } from "../tensors/list-tensors.js";

/**
 * Tensors that engines load of a Hugging Face checkpoint, as the format stores them. Blocks that predict further tokens
 * (MTP) are left out: without speculative decoding vLLM, SGLang, TensorRT-LLM, Transformers, MLX LM and ExLlama skip
 * them (vLLM, model_executor/models: load_weights skips `mtp` and the layers after the last).
 */
export function loadedTensors(architecture: Architecture, scheme: QuantScheme): StoredGroup[] {
  return storeGroups(architecture, loadedGroups(architecture), scheme);
}

const loadedGroups = onceFor((architecture: Architecture) =>
  groupTensors(architecture).filter(({ first }) => (first.layer ?? -1) < architecture.layers.length),
);
