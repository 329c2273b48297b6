import type { Architecture, TensorRole } from "../architecture/architecture.js";
import type { WeightsBreakdown } from "../estimate.types.js";
import { onceOnly } from "../once-for.js";
import { countParameters } from "../tensors/count-parameters.js";
import type { StoredTensor } from "./scheme.js";

/**
 * Sums stored tensors by type and by role, largest first. `parameters` and `bitsPerWeight` cover the tensors
 * given (prediction blocks too, if they are among them); `activeParameters` is the architecture's own count.
 */
export function summarizeWeights(architecture: Architecture, stored: readonly StoredTensor[]): WeightsBreakdown {
  let bytes = 0;
  let parameters = 0;
  for (const entry of stored) {
    bytes += entry.bytes;
    parameters += parametersOf(entry);
  }
  const shares = onceOnly(() => shareOut(stored));
  return {
    bytes,
    parameters,
    get activeParameters() {
      return countParameters(architecture).active;
    },
    bitsPerWeight: parameters === 0 ? 0 : (bytes * 8) / parameters,
    get byTensorType() {
      return shares().byTensorType;
    },
    get byRole() {
      return shares().byRole;
    },
  };
}

function shareOut(stored: readonly StoredTensor[]): Pick<WeightsBreakdown, "byTensorType" | "byRole"> {
  const byTensorType = new Map<string, { type: string; tensors: number; bytes: number }>();
  const byRole = new Map<TensorRole, { role: TensorRole; parameters: number; bytes: number }>();
  for (const entry of stored) {
    const { tensor, type, bytes } = entry;
    const typeShare = byTensorType.get(type) ?? { type, tensors: 0, bytes: 0 };
    const roleShare = byRole.get(tensor.role) ?? { role: tensor.role, parameters: 0, bytes: 0 };
    typeShare.tensors += 1;
    typeShare.bytes += bytes;
    roleShare.parameters += parametersOf(entry);
    roleShare.bytes += bytes;
    byTensorType.set(type, typeShare);
    byRole.set(tensor.role, roleShare);
  }
  return {
    byTensorType: [...byTensorType.values()].sort((a, b) => b.bytes - a.bytes),
    byRole: [...byRole.values()].sort((a, b) => b.bytes - a.bytes),
  };
}

function parametersOf({ tensor }: StoredTensor): number {
  return tensor.isParameter && !tensor.isInteger ? tensor.elements : 0;
}
