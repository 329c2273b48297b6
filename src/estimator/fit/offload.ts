import type { Architecture } from "../architecture/architecture.js";
import { createEqualSets, type EqualSets } from "../estimate.js";
import type { EstimateRequest, LlamaCppSettings, MemoryEstimate } from "../estimate.types.js";
import { countBlocks } from "../placement/place-weights.js";
import { smallestFitting } from "./largest-value.js";

/** What is moved to host memory: nothing, routed experts of some layers, or some layers as a whole. */
export type OffloadKind = "NONE" | "EXPERTS" | "LAYERS";

/** What the settings of a request leave in host memory beside the tables that are always there. */
export function offloadOf({ architecture, runtime }: EstimateRequest): OffloadKind {
  if (runtime.kind !== "llama-cpp") {
    return "NONE";
  }
  const { gpuLayers, cpuMoeLayers } = runtime.settings;
  if (gpuLayers !== undefined && gpuLayers <= countBlocks(architecture)) {
    return "LAYERS";
  }
  return cpuMoeLayers > expertLayers(architecture).first ? "EXPERTS" : "NONE";
}

/** Whether a runtime can move so much of a model: llama.cpp all of it, experts where the model has some. */
export function canOffload({ architecture, runtime }: EstimateRequest, kind: OffloadKind): boolean {
  if (kind === "NONE") {
    return true;
  }
  const { least, most } = movable(architecture, kind);
  return runtime.kind === "llama-cpp" && least <= most;
}

/**
 * Sets of equal devices with as few layers as possible in host memory: null where nothing has to be moved, where moving
 * all of them is not enough, or where nothing can be moved (`canOffload`). With NONE nothing is moved,
 * whatever the request says.
 *
 * How much a set lacks falls with the layers moved, so the fewest are found by halving; the estimator decides.
 */
export function createOffloadSets(request: EstimateRequest, kind: OffloadKind): EqualSets {
  const { architecture, runtime } = request;
  if (!canOffload(request, kind)) {
    return () => null;
  }
  if (runtime.kind !== "llama-cpp") {
    return createEqualSets(request);
  }
  const { gpuLayers: _, ...settings } = runtime.settings;
  const setsByMoved = new Map<number, EqualSets>();
  const setsOf = (moved: number): EqualSets => {
    let sets = setsByMoved.get(moved);
    if (sets === undefined) {
      const changed = { ...settings, ...movedLayers(architecture, kind, moved) };
      sets = createEqualSets({ ...request, runtime: { kind: "llama-cpp", settings: changed } });
      setsByMoved.set(moved, sets);
    }
    return sets;
  };
  if (kind === "NONE") {
    return setsOf(0);
  }
  const { least, most } = movable(architecture, kind);
  return (device, count, options) => {
    const withMoved = (moved: number): MemoryEstimate | null => setsOf(moved)(device, count, options);
    if (fitsDevices(withMoved(0))) {
      return null;
    }
    const moved = smallestFitting((layers) => fitsDevices(withMoved(layers)), least, most, unsteadyOver(kind, count));
    return moved === null ? (options?.evenIfTooSmall ? withMoved(most) : null) : withMoved(moved);
  };
}

/**
 * Several devices share what is left of the layers anew whenever one is moved, and the fullest may get one more of them:
 * over as many layers as it takes to relieve each device by two.
 */
function unsteadyOver(kind: OffloadKind, devices: number): number {
  return kind === "LAYERS" && devices > 1 ? 2 * devices : 0;
}

/** The host's memory does not count here: every layer moved to it takes more of it. */
function fitsDevices(memory: MemoryEstimate | null): boolean {
  return (memory?.spareBytes ?? -1) >= 0;
}

/** The settings that leave so many layers, or their experts, in host memory; counted from the first layer. */
function movedLayers(
  architecture: Architecture,
  kind: OffloadKind,
  moved: number,
): Pick<LlamaCppSettings, "gpuLayers" | "cpuMoeLayers"> {
  return kind === "LAYERS" && moved > 0
    ? { cpuMoeLayers: 0, gpuLayers: slotCount(architecture) - moved }
    : { cpuMoeLayers: kind === "EXPERTS" ? moved : 0 };
}

/** Fewest and most layers that a kind of offload can move; of whole layers one slot stays on the devices. */
function movable(architecture: Architecture, kind: OffloadKind): { least: number; most: number } {
  if (kind === "LAYERS") {
    return { least: 1, most: slotCount(architecture) - 1 };
  }
  const { first, last } = expertLayers(architecture);
  return { least: first + 1, most: last + 1 };
}

/** What `--n-gpu-layers` counts: the blocks of the file, and the output layer as one more. */
function slotCount(architecture: Architecture): number {
  return countBlocks(architecture) + 1;
}

/** Index of the first and last layer with routed experts; an infinite first one where there are none. */
function expertLayers({ layers, blocks }: Architecture): { first: number; last: number } {
  const hasExperts = (name: string): boolean => blocks[name]?.experts !== undefined;
  const first = layers.findIndex(hasExperts);
  return { first: first === -1 ? Number.POSITIVE_INFINITY : first, last: layers.findLastIndex(hasExperts) };
}
