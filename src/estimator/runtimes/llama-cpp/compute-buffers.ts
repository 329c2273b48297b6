import type { Architecture, Block } from "../../architecture/architecture.js";
import { HOST, type LayerPlacement } from "../../placement/place-layers.js";
import type { PreparedModel } from "../../prepared-model.js";
import { buildGraph, type GraphLayer } from "./build-graph.js";
import { GraphContext } from "./graph-context.js";
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
  const layers = reduceLayers(listGraphLayers(input));
  const context = new GraphContext(architecture, run, model.tensorBytes, host);
  const slots = placement.layers.length + 1;
  const fullOffload = placement.output !== HOST && placement.layers.every((device) => device !== HOST);
  const pipelined =
    deviceCount > 1 && fullOffload && run.splitMode === "LAYER" && run.kvOffload && run.cpuMoeLayers === 0;
  buildGraph(context, {
    layers,
    outputBackend: placement.output === HOST ? host : placement.output,
    start: "embedding",
    startBackend: host,
    ends: true,
    assignsNorms: fullOffload && slots > 0,
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

function listGraphLayers(input: ComputeInput): GraphLayer[] {
  const { architecture, run, placement } = input;
  const host = placement.deviceCount;
  return architecture.layers.map((name, index) => {
    const device = placement.layers[index] ?? HOST;
    const backend = device === HOST ? host : device;
    return {
      index,
      block: architecture.blocks[name] as Block,
      backend,
      cacheBackend: run.kvOffload ? backend : host,
      expertBackend: index < run.cpuMoeLayers ? host : backend,
    };
  });
}

function sameLayer(a: GraphLayer, b: GraphLayer): boolean {
  return (
    a.block === b.block &&
    a.backend === b.backend &&
    a.cacheBackend === b.cacheBackend &&
    a.expertBackend === b.expertBackend
  );
}

/** How often each pair of neighbouring layers is kept. */
const KEPT_REPEATS = 2;

/**
 * Cuts repetitions out of a sequence of layers: what is left has every pair of neighbours the whole has, in
 * a possible order, each at most a few times. Memory repeats with the layers, so the peaks stay the same.
 */
function reduceLayers(layers: readonly GraphLayer[]): GraphLayer[] {
  const kept: GraphLayer[] = [];
  const kinds: GraphLayer[] = [];
  const kindOf = layers.map((layer) => {
    let kind = kinds.findIndex((other) => sameLayer(other, layer));
    if (kind === -1) {
      kind = kinds.push(layer) - 1;
    }
    return kind;
  });
  const seen = new Map<number, number>();
  let pending: number[] = [];
  let lastKind = -1;
  const commit = (): void => {
    for (const index of pending) {
      const kind = kindOf[index] as number;
      const pair = lastKind * layers.length + kind;
      seen.set(pair, (seen.get(pair) ?? 0) + 1);
      kept.push(layers[index] as GraphLayer);
      lastKind = kind;
    }
    pending = [];
  };
  layers.forEach((_, index) => {
    const kind = kindOf[index] as number;
    const previous = index === 0 ? -1 : (kindOf[index - 1] as number);
    pending.push(index);
    if ((seen.get(previous * layers.length + kind) ?? 0) < KEPT_REPEATS) {
      commit();
    } else if (kind === lastKind) {
      pending = [];
    }
  });
  commit();
  return kept;
}
