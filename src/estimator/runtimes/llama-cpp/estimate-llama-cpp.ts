import type { Architecture } from "../../architecture/architecture.js";
import type { Device, EstimateRequest, KvCacheLayerGroup, LlamaCppSettings } from "../../estimate.types.js";
import { type LayerCache, listLayerCaches } from "../../kv-cache/layer-caches.js";
import { groupCaches, growthPerToken, layerCacheBytes } from "../../kv-cache/summarize-cache.js";
import { HOST, type LayerPlacement, placeLayers } from "../../placement/place-layers.js";
import { countBlocks, type PlacedBytes, placeLayerBytes, placeWeights } from "../../placement/place-weights.js";
import { type PreparedModel, prepareModel } from "../../prepared-model.js";
import { sumOf } from "../../sum-of.js";
import { type ComputeBuffers, computeBuffers } from "./compute-buffers.js";
import { graphHabits } from "./graph-habits.js";
import { assertLoadable, deviceShares, type RunSettings, runSettings } from "./run-settings.js";

/** What llama.cpp allocates, place by place. All sizes are bytes. */
export interface LlamaCppMemory {
  model: PreparedModel;
  run: RunSettings;
  placement: LayerPlacement;
  caches: LayerCache[][];
  cacheGroups: KvCacheLayerGroup[];
  cacheBytes: number;
  cacheBytesPerToken: number;
  devices: { weights: number; kvCache: number; compute: number; layers: number }[];
  host: { weights: number; kvCache: number; compute: number };
}

/**
 * Lays a model out on devices as llama.cpp does: weights and caches layer by layer, and the compute buffer
 * of each device and of the host.
 *
 * @throws EstimateError for settings that llama.cpp refuses.
 */
export function estimateLlamaCpp(
  request: EstimateRequest,
  settings: LlamaCppSettings,
  devices: readonly Device[],
): LlamaCppMemory {
  const { architecture } = request;
  assertLoadable(request);
  const run = runSettings(request, settings);
  const model = prepareModel(architecture, request.scheme);
  const placement = placeLayers({
    blockCount: countBlocks(architecture),
    gpuLayers: run.gpuLayers,
    shares: deviceShares(devices, settings),
  });
  const repeatsTiedOutput = graphHabits(architecture).loadsTiedOutputFirst === true;
  const weights = placeWeights(model.layout, placement, run.cpuMoeLayers, repeatsTiedOutput);
  const { caches, cache, compute } = layOutBuffers(architecture, run, placement, model);
  const cellsOfOneStream = run.cache.unified ? run.contextCells : run.contextCells / run.sequences;
  return {
    model,
    run,
    placement,
    caches,
    cacheGroups: groupCaches(caches),
    cacheBytes: sumOf(cache.devices, (bytes) => bytes) + cache.host,
    cacheBytesPerToken: growthPerToken(caches, cellsOfOneStream),
    devices: devices.map((_, index) => ({
      weights: weights.devices[index] ?? 0,
      kvCache: cache.devices[index] ?? 0,
      compute: compute.devices[index] ?? 0,
      layers: placement.layers.filter((device) => device === index).length,
    })),
    host: { weights: weights.host, kvCache: cache.host, compute: compute.host },
  };
}

/** Caches by layer, and what caches and graphs take in each place, bytes. */
interface LlamaCppBuffers {
  caches: LayerCache[][];
  cache: PlacedBytes;
  compute: ComputeBuffers;
}

/**
 * What llama.cpp allocates beside the weights.
 *
 * @param model - how the weights are stored, which matters where some of them are in host memory; null where none are
 */
export function layOutBuffers(
  architecture: Architecture,
  run: RunSettings,
  placement: LayerPlacement,
  model: PreparedModel | null,
): LlamaCppBuffers {
  const caches = listLayerCaches(architecture, run.cache);
  const cacheByLayer = caches.map(layerCacheBytes);
  const cache = run.kvOffload
    ? placeLayerBytes(cacheByLayer, placement)
    : { devices: new Array<number>(placement.deviceCount).fill(0), host: sumOf(cacheByLayer, (bytes) => bytes) };
  return { caches, cache, compute: computeBuffers({ architecture, model, run, placement }) };
}

/** True when nothing of the model is on any device. */
export function isHostOnly(placement: LayerPlacement): boolean {
  return placement.output === HOST && placement.layers.every((device) => device === HOST);
}
