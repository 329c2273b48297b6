import type { Architecture, Block } from "../../architecture/architecture.js";
import { HOST, type LayerPlacement } from "../../placement/place-layers.js";
import type { PreparedModel } from "../../prepared-model.js";
import { buildGraph, type GraphLayer } from "./build-graph.js";
import { GraphContext } from "./graph-context.js";
import { graphHabits, isUnrotated } from "./graph-habits.js";
import type { RunSettings } from "./run-settings.js";
import { scheduleGraph } from "./schedule-graph.js";

/** Alignment of tensors in a device's and in the host's buffers, bytes (ggml-cuda, ggml-backend). */
const DEVICE_ALIGNMENT = 128;
const HOST_ALIGNMENT = 32;
/** Copies of inputs kept under way with pipeline parallelism (ggml-backend.cpp, GGML_SCHED_MAX_COPIES). */
const PIPELINE_COPIES = 4;
/** Rows from which a device takes over operations on host weights (ggml-cuda, op_offload). */
const OFFLOAD_ROWS = 32;

export interface ComputeInput {
  architecture: Architecture;
  model: PreparedModel;
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
  const { architecture, model, run, placement } = input;
  const { deviceCount } = placement;
  const host = deviceCount;
  const layers = (globalThis as any).process?.env.FULL
    ? listGraphLayers(input)
    : reduceLayers(listGraphLayers(input), sameLayer);
  const context = new GraphContext(architecture, run, model.tensorBytes, host);
  const fullOffload = placement.output !== HOST && placement.layers.every((device) => device !== HOST);
  const pipelined =
    deviceCount > 1 && fullOffload && run.splitMode === "LAYER" && run.kvOffload && run.cpuMoeLayers === 0;
  buildGraph(context, {
    layers,
    outputBackend: placement.output === HOST ? host : placement.output,
    start: "embedding",
    startBackend: host,
    ends: true,
    assignsNorms: fullOffload && (input.assignsNorms ?? true),
  });
  const alignments = new Array<number>(deviceCount).fill(DEVICE_ALIGNMENT);
  alignments.push(HOST_ALIGNMENT);
  const peaks = scheduleGraph(context.graph, {
    backendCount: deviceCount + 1,
    copies: pipelined ? PIPELINE_COPIES : 1,
    alignments,
    offloadRows: OFFLOAD_ROWS,
  });
  return { devices: peaks.slice(0, deviceCount), host: peaks[host] ?? 0 };
}

interface PlacedLayer extends GraphLayer {
  /** Bytes of its weights in host memory. */
  hostBytes: number;
  isUnrotated: boolean;
}

function listGraphLayers(input: ComputeInput): PlacedLayer[] {
  const { architecture, model, run, placement } = input;
  const host = placement.deviceCount;
  const habits = graphHabits(architecture);
  return architecture.layers.map((name, index) => {
    const device = placement.layers[index] ?? HOST;
    const backend = device === HOST ? host : device;
    const expertBackend = index < run.cpuMoeLayers ? host : backend;
    return {
      index,
      block: architecture.blocks[name] as Block,
      backend,
      cacheBackend: run.kvOffload ? backend : host,
      expertBackend,
      isUnrotated: isUnrotated(habits, index),
      hostBytes:
        (backend === host ? (model.layout.blocks[index] ?? 0) : 0) +
        (expertBackend === host ? (model.layout.experts[index] ?? 0) : 0),
    };
  });
}

/** Same kind of layer in the same places; weights that are copied from host memory must have the same size too. */
function sameLayer(a: PlacedLayer, b: PlacedLayer): boolean {
  return (
    a.block === b.block &&
    a.backend === b.backend &&
    a.cacheBackend === b.cacheBackend &&
    a.expertBackend === b.expertBackend &&
    a.hostBytes === b.hostBytes &&
    a.isUnrotated === b.isUnrotated
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
