import type { Architecture } from "../architecture/architecture.js";
import type { QuantScheme, StoredTensor } from "../quantization/scheme.js";
import { storeTensors } from "../quantization/store-tensors.js";
import { listTensors } from "../tensors/list-tensors.js";

/**
 * Tensors that engines load of a Hugging Face checkpoint, as the format stores them. Blocks that predict further tokens
 * (MTP) are left out: without speculative decoding vLLM, SGLang, TensorRT-LLM, Transformers, MLX LM and ExLlama skip
 * them (vLLM, model_executor/models: load_weights skips `mtp` and the layers after the last).
 */
export function loadedTensors(architecture: Architecture, scheme: QuantScheme): StoredTensor[] {
  const layerCount = architecture.layers.length;
  const tensors = listTensors(architecture).filter(({ layer }) => layer === null || layer < layerCount);
  return storeTensors(architecture, tensors, scheme);
}
