import type { Architecture, TensorRole } from "../architecture/architecture.js";
import type { WeightsBreakdown } from "../estimate.types.js";
import { onceOnly } from "../once-for.js";
import { countParameters } from "../tensors/count-parameters.js";
import { countMembers } from "../tensors/tensor.js";
import type { StoredGroup } from "./scheme.js";

/**
 * Sums stored tensors by type and by role, largest first. `parameters` and `bitsPerWeight` cover the tensors
 * given (prediction blocks too, if they are among them); `activeParameters` is the architecture's own count.
 */
export function summarizeWeights(architecture: Architecture, stored: readonly StoredGroup[]): WeightsBreakdown {
  let bytes = 0;
  let parameters = 0;
  for (const entry of stored) {
    bytes += countMembers(entry) * entry.bytes;
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

function shareOut(stored: readonly StoredGroup[]): Pick<WeightsBreakdown, "byTensorType" | "byRole"> {
  const byTensorType = new Map<string, { type: string; tensors: number; bytes: number }>();
  const byRole = new Map<TensorRole, { role: TensorRole; parameters: number; bytes: number }>();
  for (const entry of stored) {
    const { type } = entry;
    const { role } = entry.first;
    const tensors = countMembers(entry);
    const bytes = tensors * entry.bytes;
    const typeShare = byTensorType.get(type) ?? { type, tensors: 0, bytes: 0 };
    const roleShare = byRole.get(role) ?? { role, parameters: 0, bytes: 0 };
    typeShare.tensors += tensors;
    typeShare.bytes += bytes;
    roleShare.parameters += parametersOf(entry);
    roleShare.bytes += bytes;
    byTensorType.set(type, typeShare);
    byRole.set(role, roleShare);
  }
  return {
    byTensorType: [...byTensorType.values()].sort((a, b) => b.bytes - a.bytes),
    byRole: [...byRole.values()].sort((a, b) => b.bytes - a.bytes),
  };
}

function parametersOf(entry: StoredGroup): number {
  const { isParameter, isInteger, elements } = entry.first;
  return isParameter && !isInteger ? countMembers(entry) * elements : 0;
}
