import type { Architecture, TensorRole } from "../architecture/architecture.js";
import { groupTensors, inFileOrder } from "../tensors/list-tensors.js";
import { membersOf, type Tensor, type TensorGroup } from "../tensors/tensor.js";
import { matchModules, moduleNames } from "./checkpoint-modules.js";
import { ggmlTypes } from "./ggml-recipe.js";
import { rowCount, tensorBytes } from "./ggml-types.js";
import { matrixRole } from "./matrix-role.js";
import type {
  AverageScheme,
  QuantScheme,
  ScaleLayout,
  StoredGroup,
  StoredTensor,
  UniformOverride,
  UniformScheme,
  UniformStorage,
} from "./scheme.js";

const BITS_PER_BYTE = 8;
/** Tables of token ids are int32 in every format. */
const INTEGER = { type: "I32", bits: 32 };

/**
 * Decides how tensors are stored and how many bytes each takes. Groups come in the order of `groups`, one whose members
 * are stored in several ways once for each. Bytes are those of tensor data: no alignment, no file header. Constants that
 * only a GGUF conversion adds (rope factors) are left out of the other kinds of scheme.
 *
 * Throws {@link QuantizationError} for an unknown ggml type and for a shape the format cannot hold.
 */
export function storeGroups(
  architecture: Architecture,
  groups: readonly TensorGroup[],
  scheme: QuantScheme,
): StoredGroup[] {
  const stored = storeByRule(architecture, groups, scheme);
  return scheme.publishedBytes === undefined ? stored : shareOut(stored, scheme.publishedBytes);
}

/** Every tensor of a GGUF file as stored, one by one in the order of `listTensors`; throws as {@link storeGroups} does. */
export function storeTensors(architecture: Architecture, scheme: QuantScheme): StoredTensor[] {
  return listStored(storeGroups(architecture, groupTensors(architecture), scheme));
}

/** Stored tensors one by one, in the order of `listTensors`. */
export function listStored(stored: readonly StoredGroup[]): StoredTensor[] {
  const tensors = stored.flatMap(({ type, bytes, ...group }) =>
    membersOf(group).map((tensor): StoredTensor => ({ tensor, type, bytes })),
  );
  return inFileOrder(tensors, ({ tensor }) => tensor);
}

/** Scales tensors so that together they take so many bytes. */
function shareOut(stored: readonly StoredGroup[], totalBytes: number): StoredGroup[] {
  const tensors = listStored(stored);
  const factor = totalBytes / tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  let exact = 0;
  let given = 0;
  return tensors.map(({ tensor, type, bytes: unscaled }) => {
    exact += unscaled * factor;
    const bytes = Math.round(exact) - given;
    given += bytes;
    return { first: tensor, layers: tensor.layer === null ? null : [tensor.layer], type, bytes };
  });
}

function storeByRule(architecture: Architecture, groups: readonly TensorGroup[], scheme: QuantScheme): StoredGroup[] {
  switch (scheme.kind) {
    case "ggml":
      return ggmlTypes(architecture, groups, scheme).map(({ first, layers, type }) => ({
        first,
        layers,
        type,
        bytes: tensorBytes(type, first.shape),
      }));
    case "uniform":
      return storeUniform(architecture, checkpointGroups(groups), scheme);
    case "average":
      return checkpointGroups(groups).map(({ first, layers }) => ({ first, layers, ...storeAverage(first, scheme) }));
  }
}

/** Bytes of one tensor and the name of its type. */
type Stored = Pick<StoredGroup, "type" | "bytes">;

function checkpointGroups(groups: readonly TensorGroup[]): TensorGroup[] {
  return groups.filter(({ first }) => first.isParameter || first.isInteger);
}

function storeUniform(
  architecture: Architecture,
  groups: readonly TensorGroup[],
  scheme: UniformScheme,
): StoredGroup[] {
  const { keptModules, overrides = [] } = scheme;
  const namesModules = keptModules !== undefined || overrides.some((storage) => "modules" in storage);
  const storageOf = uniformStorages(architecture, scheme, namesModules);
  // Lists of modules may tell layers apart.
  return (namesModules ? groups.flatMap(splitGroup) : groups).map(({ first, layers }) => {
    const storage = storageOf(first);
    const stored =
      storage === null
        ? leaveAlone(first, scheme.restType ?? "bf16", scheme.restBits)
        : { type: storage.type, bytes: uniformBytes(first, storage) };
    return { first, layers, ...stored };
  });
}

function splitGroup(group: TensorGroup): TensorGroup[] {
  return membersOf(group).map((first) => ({ first, layers: first.layer === null ? null : [first.layer] }));
}

/** How a uniform scheme stores each tensor; null for those left alone. */
function uniformStorages(
  architecture: Architecture,
  scheme: UniformScheme,
  namesModules: boolean,
): (tensor: Tensor) => UniformStorage | null {
  const isKept = matchModules(scheme.keptModules ?? []);
  const overrides = (scheme.overrides ?? []).map((storage) => ({ storage, applies: overrideCondition(storage) }));
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

function storeAverage(tensor: Tensor, scheme: AverageScheme): Stored {
  const role = matrixRole(tensor);
  const bits =
    role === "OUTPUT"
      ? scheme.outputBits
      : role !== null && scheme.quantizedRoles.includes(role)
        ? scheme.bitsPerWeight
        : null;
  return bits === null
    ? leaveAlone(tensor, scheme.restType ?? "fp16", scheme.restBits)
    : { type: scheme.type, bytes: bytesOfBits(tensor.elements * bits) };
}

function leaveAlone(tensor: Tensor, restType: string, restBits: number): Stored {
  const { type, bits } = tensor.isInteger ? INTEGER : { type: restType, bits: restBits };
  return { type, bytes: bytesOfBits(tensor.elements * bits) };
}

function bytesOfBits(bits: number): number {
  return Math.ceil(bits / BITS_PER_BYTE);
}

function inputWidth(tensor: Tensor): number {
  return tensor.shape[0] ?? 1;
}
