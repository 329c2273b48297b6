import type { Architecture, TensorRole } from "../architecture/architecture.js";
import type { Tensor } from "../tensors/tensor.js";
import { matchModules, moduleNames } from "./checkpoint-modules.js";
import { ggmlTypes } from "./ggml-recipe.js";
import { QuantizationError, rowCount, tensorBytes } from "./ggml-types.js";
import { matrixRole } from "./matrix-role.js";
import type {
  AverageScheme,
  GgmlScheme,
  QuantScheme,
  ScaleLayout,
  StoredTensor,
  UniformOverride,
  UniformScheme,
  UniformStorage,
} from "./scheme.js";

const BITS_PER_BYTE = 8;
/** Tables of token ids are int32 in every format. */
const INTEGER = { type: "I32", bits: 32 };

/**
 * Decides how each tensor is stored and how many bytes it takes, in the order of `tensors`. Bytes are those of
 * tensor data: no alignment, no file header. Constants that only a GGUF conversion adds (rope factors) are left
 * out of the other kinds of scheme.
 *
 * Throws {@link QuantizationError} for an unknown ggml type and for a shape the format cannot hold.
 */
export function storeTensors(
  architecture: Architecture,
  tensors: readonly Tensor[],
  scheme: QuantScheme,
): StoredTensor[] {
  const stored = storeByRule(architecture, tensors, scheme);
  return scheme.publishedBytes === undefined ? stored : shareOut(stored, scheme.publishedBytes);
}

/** Scales tensors so that together they take so many bytes. */
function shareOut(stored: readonly StoredTensor[], totalBytes: number): StoredTensor[] {
  const factor = totalBytes / stored.reduce((sum, { bytes }) => sum + bytes, 0);
  let exact = 0;
  let given = 0;
  return stored.map((tensor) => {
    exact += tensor.bytes * factor;
    const bytes = Math.round(exact) - given;
    given += bytes;
    return { ...tensor, bytes };
  });
}

function storeByRule(architecture: Architecture, tensors: readonly Tensor[], scheme: QuantScheme): StoredTensor[] {
  switch (scheme.kind) {
    case "ggml":
      return storeGgml(architecture, tensors, scheme);
    case "uniform":
      return storeUniform(architecture, checkpointTensors(tensors), scheme);
    case "average":
      return checkpointTensors(tensors).map((tensor) => storeAverage(tensor, scheme));
  }
}

function storeGgml(architecture: Architecture, tensors: readonly Tensor[], scheme: GgmlScheme): StoredTensor[] {
  const types = ggmlTypes(architecture, tensors, scheme);
  return tensors.map((tensor, index) => {
    const type = types[index];
    if (type === undefined) {
      throw new QuantizationError(`no type for tensor ${tensor.name}`);
    }
    return { tensor, type, bytes: tensorBytes(type, tensor.shape) };
  });
}

function checkpointTensors(tensors: readonly Tensor[]): Tensor[] {
  return tensors.filter((tensor) => tensor.isParameter || tensor.isInteger);
}

function storeUniform(architecture: Architecture, tensors: readonly Tensor[], scheme: UniformScheme): StoredTensor[] {
  const storageOf = uniformStorages(architecture, scheme);
  return tensors.map((tensor) => {
    const storage = storageOf(tensor);
    return storage === null
      ? leaveAlone(tensor, scheme.restType ?? "bf16", scheme.restBits)
      : { tensor, type: storage.type, bytes: uniformBytes(tensor, storage) };
  });
}

/** How a uniform scheme stores each tensor; null for those left alone. */
function uniformStorages(architecture: Architecture, scheme: UniformScheme): (tensor: Tensor) => UniformStorage | null {
  const isKept = matchModules(scheme.keptModules ?? []);
  const overrides = (scheme.overrides ?? []).map((storage) => ({ storage, applies: overrideCondition(storage) }));
  const namesModules = scheme.keptModules !== undefined || overrides.some(({ storage }) => "modules" in storage);
  return (tensor) => {
    const role = matrixRole(tensor);
    if (role === null) {
      return null;
    }
    const names = namesModules ? moduleNames(tensor, architecture) : [];
    if (isKept(names)) {
      return null;
    }
    const storage =
      overrides.find(({ applies }) => applies(role, names))?.storage ??
      (scheme.quantizedRoles.includes(role) ? scheme : null);
    return storage?.oddGroups === "leave" && !hasWholeGroups(tensor, storage) ? null : storage;
  };
}

function overrideCondition(override: UniformOverride): (role: TensorRole, names: readonly string[]) => boolean {
  if ("roles" in override) {
    return (role) => override.roles.includes(role);
  }
  const matches = matchModules(override.modules);
  return (_role, names) => matches(names);
}

function hasWholeGroups(tensor: Tensor, storage: UniformStorage): boolean {
  return storage.scales.every((scale) => scale.per !== "group" || inputWidth(tensor) % scale.groupSize === 0);
}

function uniformBytes(tensor: Tensor, storage: UniformStorage): number {
  const weights = bytesOfBits(tensor.elements * storage.weightBits);
  return storage.scales.reduce((bytes, scale) => bytes + bytesOfBits(scaleCount(tensor, scale) * scale.bits), weights);
}

/** Entries of one scale array over a matrix, or over all matrices of a stack. */
function scaleCount(tensor: Tensor, scale: ScaleLayout): number {
  const [columns = 1, rows = 1] = tensor.shape;
  const matrices = rowCount(tensor.shape) / rows;
  switch (scale.per) {
    case "group":
      return Math.ceil(columns / scale.groupSize) * rows * matrices;
    case "block":
      return Math.ceil((columns * rows) / scale.blockSize) * matrices;
    case "tile":
      return Math.ceil(columns / scale.columns) * Math.ceil(rows / scale.rows) * matrices;
    case "output-row":
      return rows * matrices;
    case "input-row":
      return columns * matrices;
    case "tensor":
      return matrices;
  }
}

function storeAverage(tensor: Tensor, scheme: AverageScheme): StoredTensor {
  const role = matrixRole(tensor);
  const bits =
    role === "OUTPUT"
      ? scheme.outputBits
      : role !== null && scheme.quantizedRoles.includes(role)
        ? scheme.bitsPerWeight
        : null;
  return bits === null
    ? leaveAlone(tensor, scheme.restType ?? "fp16", scheme.restBits)
    : { tensor, type: scheme.type, bytes: bytesOfBits(tensor.elements * bits) };
}

function leaveAlone(tensor: Tensor, restType: string, restBits: number): StoredTensor {
  const { type, bits } = tensor.isInteger ? INTEGER : { type: restType, bits: restBits };
  return { tensor, type, bytes: bytesOfBits(tensor.elements * bits) };
}

function bytesOfBits(bits: number): number {
  return Math.ceil(bits / BITS_PER_BYTE);
}

function inputWidth(tensor: Tensor): number {
  return tensor.shape[0] ?? 1;
}
