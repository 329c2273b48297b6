import type { Architecture, Block } from "../../architecture/architecture.js";
import { HOST, type LayerPlacement } from "../../placement/place-layers.js";
import { yieldsLogits } from "../../placement/place-weights.js";
import type { PreparedModel } from "../../prepared-model.js";
import { dependsOnPosition, selectsBlocks } from "./build-attention.js";
import { buildGraph, type GraphLayer } from "./build-graph.js";
import { GraphContext } from "./graph-context.js";
import { graphHabits, isSparse, isStacked, isUnrotated } from "./graph-habits.js";
import { F32 } from "./graph-node.js";
import type { RunSettings } from "./run-settings.js";
import { OFFLOAD_ROWS, scheduleGraph } from "./schedule-graph.js";

/** Alignment of tensors in a device's and in the host's buffers, bytes (ggml-cuda, ggml-backend). */
const DEVICE_ALIGNMENT = 128;
const HOST_ALIGNMENT = 32;
/** Copies of inputs kept under way with pipeline parallelism (ggml-backend.cpp, GGML_SCHED_MAX_COPIES). */
const PIPELINE_COPIES = 4;

/**
 * Headroom on devices after the first of a pipeline. What crosses between devices differs by backend: CUDA hands
 * over one activation per copy, others the first norm's result as well, and the allocator's gaps fall otherwise.
 */
const HANDOVER_MARGIN = 1.025;
/** Per-layer embeddings are projected beside the output, so that all devices take part. */
const PER_LAYER_TABLE = "per_layer_token_embd.weight";

export interface ComputeInput {
  architecture: Architecture;
  /** Null where no weights are in host memory but the tables read by token id, of which nothing is copied. */
  model: PreparedModel | null;
  run: RunSettings;
  placement: LayerPlacement;
  /**
   * With everything on devices llama.cpp tells each layer's first norm to run on the layer's own device.
   * False where it cannot tell devices apart (RPC servers), which then hand over the norm's result as well.
   */
  assignsNorms?: boolean;
}

export interface ComputeBuffers {
  /** Bytes on each device. */
  devices: number[];
  host: number;
}

/**
 * Compute buffers of every device and of the host: the graph of one full microbatch, laid out by ggml's own
 * scheduler and allocator. Layers repeat, so a few of each kind stand for all.
 */
export function computeBuffers(input: ComputeInput): ComputeBuffers {
  const { placement, run, architecture } = input;
  const isOnDevices = placement.output !== HOST && placement.layers.every((device) => device !== HOST);
  const isSeparable =
    isOnDevices &&
    run.kvOffload &&
    run.cpuMoeLayers === 0 &&
    input.assignsNorms !== false &&
    yieldsLogits(architecture) &&
    !architecture.tensors.some((tensor) => tensor.name === PER_LAYER_TABLE) &&
    !sharesSelection(architecture, run) &&
    !mixesLayers(architecture, placement);
  return isSeparable ? separateBuffers(input) : wholeBuffers(input, isOnDevices);
}

/** Block selection's mask is made on the first device that needs it and copied to the others from there. */
function sharesSelection(architecture: Architecture, run: RunSettings): boolean {
  return (
    selectsBlocks(run) &&
    Object.values(architecture.blocks).some(
      ({ attention }) => attention?.kind === "grouped" && attention.indexer !== undefined,
    )
  );
}

/**
 * A recurrent layer's state is read before the layer before it has been summed up: over several devices that sum
 * falls to the next device, or a later one's operation to the one before.
 */
function mixesLayers(architecture: Architecture, placement: LayerPlacement): boolean {
  return (
    placement.deviceCount > 1 && Object.values(architecture.blocks).some(({ recurrent }) => recurrent !== undefined)
  );
}

/** With everything on devices each computes its own layers, and its buffer depends on nothing else. */
function separateBuffers(input: ComputeInput): ComputeBuffers {
  const { architecture, run, placement } = input;
  const { deviceCount } = placement;
  const layers = listGraphLayers(input);
  const copies = isPipelined(input) ? PIPELINE_COPIES : 1;
  const inputs = new Map<string, number>();
  const devices = new Array<number>(deviceCount).fill(0);
  for (let device = 0; device < deviceCount; device += 1) {
    const own = layers.filter((layer) => layer.backend === device);
    const ends = placement.output === device;
    if (own.length === 0 && !ends) {
      continue;
    }
    const starts = own[0]?.index === 0;
    const part = devicePart(input, own, { starts, ends, copies });
    devices[device] = starts || copies === 1 ? part.peak : Math.ceil(part.peak * HANDOVER_MARGIN);
    for (const [name, bytes] of part.inputs) {
      inputs.set(name, bytes);
    }
  }
  let host = align(architecture.hiddenSize * run.tokens * F32, HOST_ALIGNMENT);
  for (const [name, bytes] of inputs) {
    host += (name === UNUSED_INPUT ? 1 : copies) * align(bytes, HOST_ALIGNMENT);
  }
  return { devices, host };
}

/** Peak of one device's buffer and the inputs its layers use. */
interface DevicePart {
  peak: number;
  inputs: ReadonlyMap<string, number>;
}

interface PartEnds {
  starts: boolean;
  ends: boolean;
  copies: number;
}

/** Parts of one architecture that were computed before, the oldest dropped when there are too many. */
const knownParts = new WeakMap<Architecture, Map<string, DevicePart>>();
const MAX_KNOWN_PARTS = 2048;

function devicePart(input: ComputeInput, own: readonly PlacedLayer[], ends: PartEnds): DevicePart {
  const { architecture } = input;
  const layers = withoutRepetitions(architecture, own);
  const key = partKey(input, layers, ends);
  let known = knownParts.get(architecture);
  if (known === undefined) {
    known = new Map();
    knownParts.set(architecture, known);
  }
  let part = known.get(key);
  if (part === undefined) {
    part = computePart(input, layers, ends);
    if (known.size >= MAX_KNOWN_PARTS) {
      known.delete(known.keys().next().value as string);
    }
    known.set(key, part);
  }
  return part;
}

function partKey(input: ComputeInput, layers: readonly PlacedLayer[], ends: PartEnds): string {
  const { run } = input;
  const kinds = layers
    .map((layer) => `${layer.blockName}${layer.isUnrotated ? "*" : ""}${layer.isStacked ? "+" : ""}`)
    .join(",");
  const cache = run.cache;
  return [
    kinds,
    ends.starts,
    ends.ends,
    ends.copies,
    run.tokens,
    run.outputRows,
    run.flashAttention,
    cache.contextTokens,
    cache.sequences,
    cache.unified,
    cache.swaFull,
    cache.ubatchTokens,
    run.typeK.slug,
    run.typeV.slug,
  ].join("|");
}

/** Ready-made embeddings are allocated beside the token ids, but no operation reads them: no copies are kept. */
const UNUSED_INPUT = "embeddings";

/** This device, the one before it, and the host. */
const OWN_BACKEND = 0;
const PREVIOUS_BACKEND = 1;
const PART_HOST = 2;

function computePart(input: ComputeInput, layers: readonly PlacedLayer[], ends: PartEnds): DevicePart {
  const context = new GraphContext(input.architecture, input.run, bytesOfNone, PART_HOST);
  buildGraph(context, {
    layers: layers.map((layer) => ({
      ...layer,
      backend: OWN_BACKEND,
      cacheBackend: OWN_BACKEND,
      expertBackend: OWN_BACKEND,
    })),
    outputBackend: OWN_BACKEND,
    start: ends.starts ? "embedding" : "activation",
    startBackend: PREVIOUS_BACKEND,
    ends: ends.ends,
    assignsNorms: true,
  });
  const peaks = scheduleGraph(context.graph, {
    backendCount: PART_HOST + 1,
    copies: ends.copies,
    alignments: [DEVICE_ALIGNMENT, DEVICE_ALIGNMENT, HOST_ALIGNMENT],
    offloadRows: 0,
  });
  return { peak: peaks[OWN_BACKEND] ?? 0, inputs: context.inputBytes };
}

/** Weights that are all on devices are not copied. */
const bytesOfNone = (): number => 0;

/** The whole graph at once, for layers that share work between devices and host. */
function wholeBuffers(input: ComputeInput, isOnDevices: boolean): ComputeBuffers {
  const { architecture, model, run, placement } = input;
  const { deviceCount } = placement;
  const host = deviceCount;
  const context = new GraphContext(architecture, run, model?.bytesOf ?? bytesOfNone, host);
  buildGraph(context, {
    layers: withoutRepetitions(architecture, listGraphLayers(input)),
    outputBackend: placement.output === HOST ? host : placement.output,
    start: "embedding",
    startBackend: host,
    ends: true,
    assignsNorms: isOnDevices && (input.assignsNorms ?? true),
  });
  const alignments = new Array<number>(deviceCount).fill(DEVICE_ALIGNMENT);
  alignments.push(HOST_ALIGNMENT);
  const peaks = scheduleGraph(context.graph, {
    backendCount: deviceCount + 1,
    copies: isPipelined(input) ? PIPELINE_COPIES : 1,
    alignments,
    offloadRows: OFFLOAD_ROWS,
  });
  return { devices: peaks.slice(0, deviceCount), host: peaks[host] ?? 0 };
}

/** Several devices work on different microbatches at once when all layers are theirs (llama-context.cpp). */
function isPipelined({ placement, run }: ComputeInput): boolean {
  return (
    placement.deviceCount > 1 &&
    placement.output !== HOST &&
    placement.layers.every((device) => device !== HOST) &&
    run.splitMode === "LAYER" &&
    run.kvOffload &&
    run.cpuMoeLayers === 0
  );
}

function align(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}

interface PlacedLayer extends GraphLayer {
  blockName: string;
  /** Bytes of its weights in host memory. */
  hostBytes: number;
  isUnrotated: boolean;
  isSparse: boolean;
  isStacked: boolean;
}

function listGraphLayers(input: ComputeInput): PlacedLayer[] {
  const { architecture, model, run, placement } = input;
  const host = placement.deviceCount;
  const habits = graphHabits(architecture);
  const backendOf = (layer: number): number => {
    const device = placement.layers[layer] ?? HOST;
    return device === HOST ? host : device;
  };
  return architecture.layers.map((name, index) => {
    const backend = backendOf(index);
    const expertBackend = index < run.cpuMoeLayers ? host : backend;
    return {
      index,
      blockName: name,
      block: architecture.blocks[name] as Block,
      backend,
      cacheBackend: run.kvOffload ? backendOf(cacheOwner(architecture, index)) : host,
      expertBackend,
      isUnrotated: isUnrotated(habits, index),
      isSparse: isSparse(habits, index),
      isStacked: isStacked(habits, index),
      hostBytes:
        (backend === host ? (model?.layout.blocks[index] ?? 0) : 0) +
        (expertBackend === host ? (model?.layout.experts[index] ?? 0) : 0),
    };
  });
}

/** The layer whose cache a layer reads: its own, or the last before it of its kind that has one (models/gemma4.cpp). */
function cacheOwner({ layers, blocks }: Architecture, index: number): number {
  const attentionOf = (layer: number) => blocks[layers[layer] ?? ""]?.attention;
  const own = attentionOf(index);
  if (own?.kind !== "grouped" || !own.sharesCache) {
    return index;
  }
  for (let layer = index - 1; layer >= 0; layer -= 1) {
    const other = attentionOf(layer);
    const isSameKind = other?.kind === "grouped" && (other.window === undefined) === (own.window === undefined);
    if (isSameKind && !other.sharesCache) {
      return layer;
    }
  }
  return index;
}

/** Layers that stand for all; every one where what it needs depends on how many are still to come. */
function withoutRepetitions(architecture: Architecture, layers: readonly PlacedLayer[]): readonly PlacedLayer[] {
  const habits = graphHabits(architecture);
  return layers.some(({ block }) => dependsOnPosition(block.attention, habits))
    ? layers
    : reduceLayers(layers, sameLayer);
}

/** Same kind of layer in the same places; weights that are copied from host memory must have the same size too. */
function sameLayer(a: PlacedLayer, b: PlacedLayer): boolean {
  return (
    a.block === b.block &&
    a.backend === b.backend &&
    a.cacheBackend === b.cacheBackend &&
    a.expertBackend === b.expertBackend &&
    a.hostBytes === b.hostBytes &&
    a.isUnrotated === b.isUnrotated &&
    a.isSparse === b.isSparse &&
    a.isStacked === b.isStacked
  );
}

/**
 * Repetitions are cut in multiples of this many: where a layer's result lands in the buffer can alternate
 * between two or three places, and what is left must end on the same one.
 */
const CYCLE = 6;
/** Longest pattern of layers looked for. */
const MAX_PERIOD = 16;

/**
 * Cuts repetitions out of a sequence of layers. Memory repeats with the layers, so the peaks stay the same:
 * of a pattern repeated often, between one and two cycles are left.
 */
export function reduceLayers<Layer>(layers: readonly Layer[], same: (a: Layer, b: Layer) => boolean): Layer[] {
  const kept: Layer[] = [];
  let at = 0;
  while (at < layers.length) {
    const { period, length } = longestRepetition(layers, at, same);
    const excess = Math.floor(length / period) - CYCLE;
    if (excess < CYCLE) {
      kept.push(layers[at] as Layer);
      at += 1;
      continue;
    }
    at += Math.floor(excess / CYCLE) * CYCLE * period;
    const end = at + CYCLE * period;
    kept.push(...layers.slice(at, end));
    at = end;
  }
  return kept;
}

/** The pattern from `start` on that covers most layers, and how many it covers. */
function longestRepetition<Layer>(
  layers: readonly Layer[],
  start: number,
  same: (a: Layer, b: Layer) => boolean,
): { period: number; length: number } {
  let best = { period: 1, length: 1 };
  for (let period = 1; period <= MAX_PERIOD; period += 1) {
    let end = start + period;
    while (end < layers.length && same(layers[end - period] as Layer, layers[end] as Layer)) {
      end += 1;
    }
    if (end - start > best.length + period) {
      best = { period, length: Math.min(end, layers.length) - start };
    }
  }
  return best;
}
