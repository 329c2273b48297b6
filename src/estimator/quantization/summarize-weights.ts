import type { Architecture, TensorRole } from "../architecture/architecture.js";
import type { WeightsBreakdown } from "../estimate.types.js";
import { countParameters } from "../tensors/count-parameters.js";
import type { StoredTensor } from "./scheme.js";

/**
 * Sums stored tensors by type and by role, largest first. `parameters` and `bitsPerWeight` cover the tensors
 * given (prediction blocks too, if they are among them); `activeParameters` is the architecture's own count.
 */
export function summarizeWeights(architecture: Architecture, stored: readonly StoredTensor[]): WeightsBreakdown {
  const byTensorType = new Map<string, { type: string; tensors: number; bytes: number }>();
  const byRole = new Map<TensorRole, { role: TensorRole; parameters: number; bytes: number }>();
  let bytes = 0;
  let parameters = 0;
  for (const { tensor, type, bytes: tensorBytes } of stored) {
    const tensorParameters = tensor.isParameter && !tensor.isInteger ? tensor.elements : 0;
    const typeShare = byTensorType.get(type) ?? { type, tensors: 0, bytes: 0 };
    const roleShare = byRole.get(tensor.role) ?? { role: tensor.role, parameters: 0, bytes: 0 };
    typeShare.tensors += 1;
    typeShare.bytes += tensorBytes;
    roleShare.parameters += tensorParameters;
    roleShare.bytes += tensorBytes;
    byTensorType.set(type, typeShare);
    byRole.set(tensor.role, roleShare);
    bytes += tensorBytes;
    parameters += tensorParameters;
  }
  return {
    bytes,
    parameters,
    activeParameters: countParameters(architecture).active,
    bitsPerWeight: parameters === 0 ? 0 : (bytes * 8) / parameters,
    byTensorType: [...byTensorType.values()].sort((a, b) => b.bytes - a.bytes),
    byRole: [...byRole.values()].sort((a, b) => b.bytes - a.bytes),
  };
}
