import type { Architecture, TensorRole } from "../architecture/architecture.js";
import { onceFor } from "../once-for.js";
import { groupTensors, inFileOrder } from "../tensors/list-tensors.js";
import { membersOf, type Tensor, type TensorGroup } from "../tensors/tensor.js";
import { matchModules, moduleNames } from "./checkpoint-modules.js";
import { ggmlTypes } from "./ggml-recipe.js";
import { tensorBytes } from "./ggml-types.js";
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
      return storeUniform(architecture, describeCheckpoint(groups), scheme);
    case "average":
      return describeCheckpoint(groups).map(({ first, layers, role }) => {
        const { type, bytes } = storeAverage(first, role, scheme);
        return { first, layers, type, bytes };
      });
  }
}

/** Bytes of one tensor and the name of its type. */
type Stored = Pick<StoredGroup, "type" | "bytes">;

/** Tensors of a checkpoint with the role by which formats decide about them; null for what is no matrix. */
interface CheckpointGroup extends TensorGroup {
  role: TensorRole | null;
}

const describeCheckpoint: (groups: readonly TensorGroup[]) => readonly CheckpointGroup[] = onceFor((groups) =>
  groups
    .filter(({ first }) => first.isParameter || first.isInteger)
    .map(({ first, layers }) => ({ first, layers, role: matrixRole(first) })),
);

function storeUniform(
  architecture: Architecture,
  groups: readonly CheckpointGroup[],
  scheme: UniformScheme,
): StoredGroup[] {
  const { keptModules, overrides = [], restType = "bf16", restBits } = scheme;
  const namesModules = keptModules !== undefined || overrides.some((storage) => "modules" in storage);
  const storageOf = uniformStorages(architecture, scheme, namesModules);
  // Lists of modules may tell layers apart.
  return (namesModules ? groups.flatMap(splitGroup) : groups).map(({ first, layers, role }) => {
    const storage = storageOf(first, role);
    const { type, bytes } =
      storage === null
        ? leaveAlone(first, restType, restBits)
        : { type: storage.type, bytes: uniformBytes(first, storage) };
    return { first, layers, type, bytes };
  });
}

function splitGroup({ role, ...group }: CheckpointGroup): CheckpointGroup[] {
  return membersOf(group).map((first) => ({ first, layers: first.layer === null ? null : [first.layer], role }));
}

/** How a uniform scheme stores each tensor; null for those left alone. */
function uniformStorages(
  architecture: Architecture,
  scheme: UniformScheme,
  namesModules: boolean,
): (tensor: Tensor, role: TensorRole | null) => UniformStorage | null {
  const isKept = scheme.keptModules === undefined ? () => false : matchModules(scheme.keptModules);
  const overrides = (scheme.overrides ?? []).map((storage) => ({ storage, applies: overrideCondition(storage) }));
  return (tensor, role) => {
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
  const matrices = tensor.elements / (columns * rows);
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

function storeAverage(tensor: Tensor, role: TensorRole | null, scheme: AverageScheme): Stored {
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
