import type { Architecture } from "../architecture/architecture.js";
import { estimate } from "../estimate.js";
import type { Device, EstimateRequest, LlamaCppSettings, MemoryEstimate } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { onceOnly, oncePerPair } from "../once-for.js";
import { type LayerPlacement, placeLayers } from "../placement/place-layers.js";
import {
  countBlocks,
  layOutWeights,
  type PlacedBytes,
  placeWeights,
  type WeightLayout,
} from "../placement/place-weights.js";
import type { QuantScheme } from "../quantization/scheme.js";
import { storeGroups } from "../quantization/store-tensors.js";
import { layOutBuffers } from "../runtimes/llama-cpp/estimate-llama-cpp.js";
import { assertLoadable, deviceShares, type RunSettings, runSettings } from "../runtimes/llama-cpp/run-settings.js";
import { freeBytes } from "../runtimes/request-checks.js";
import type { PlacedModel } from "../speed/stages.js";
import { groupTensors } from "../tensors/list-tensors.js";

/** How a model in a format stands to devices: the figures of `estimate`, bytes, and nothing described. */
export interface FormatFit {
  /** Over all devices. */
  totalBytes: number;
  /** Left of the memory nearest to full, a device's or the host's, by what the runtime may use; negative where short. */
  spareBytes: number;
  /** Free on the fullest device, the driver's part among it. */
  headroomBytes: number;
}

/** One model at one context, in any format. */
export interface FormatFits {
  /**
   * Null where the weights alone are more than the devices hold, which says so without laying anything out.
   * @throws EstimateError and QuantizationError as `estimate` does
   */
  fitOf(scheme: QuantScheme): FormatFit | null;
  /** The same, laid out also where it is hopeless. */
  measure(scheme: QuantScheme): FormatFit;
  /** Where the layers are, as far as speed depends on it; null where that takes an estimate. */
  placed(scheme: QuantScheme): PlacedModel | null;
}

/**
 * How a model stands to devices in many formats, its cache and buffers laid out once for all of them: with the whole
 * model on llama.cpp's devices they do not depend on how the weights are stored. Null where they do.
 *
 * @param request - with devices of known capacity; the scheme is given later.
 */
export function createFormatFits(request: Omit<EstimateRequest, "scheme">): FormatFits | null {
  const { architecture, runtime, devices, hostMemory, extras } = request;
  if (devices === undefined || runtime.kind !== "llama-cpp" || !isWhole(runtime.settings)) {
    return null;
  }
  // Prediction blocks are stored as the model is; all else beside it is the same in every format.
  if (extras?.predictionHead !== undefined) {
    return null;
  }
  const { settings } = runtime;
  const free = devices.map((device) => freeBytes(device) ?? 0);
  const roomBytes = free.reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
  const isSplit = settings.splitMode === "LAYER";
  const check = onceOnly(() => {
    assertLoadable(request);
    return runSettings(request, settings);
  });
  let shell: Shell | undefined;
  let refusal: EstimateError | undefined;

  /** What is refused whatever the format is refused once. */
  const shellFor = (scheme: QuantScheme): Shell => {
    if (refusal !== undefined) {
      throw refusal;
    }
    try {
      shell ??=
        extras === undefined
          ? layOutShell(architecture, check(), devices, settings)
          : shellOf(estimate({ ...request, scheme }), settings);
      return shell;
    } catch (error) {
      refusal = error instanceof EstimateError ? error : undefined;
      throw error;
    }
  };

  const known = new Map<QuantScheme, FormatFit>();

  const compute = (scheme: QuantScheme): FormatFit => {
    const { placement, restBytes, hostRestBytes } = shellFor(scheme);
    const weights =
      devices.length === 1 ? wholeWeights(architecture, scheme) : spreadWeights(architecture, scheme, placement);
    const fit = { totalBytes: 0, spareBytes: Number.POSITIVE_INFINITY, headroomBytes: Number.POSITIVE_INFINITY };
    for (let index = 0; index < devices.length; index += 1) {
      const total = (restBytes[index] ?? 0) + (weights.devices[index] ?? 0);
      fit.totalBytes += total;
      fit.spareBytes = Math.min(fit.spareBytes, (free[index] ?? 0) - total);
      fit.headroomBytes = Math.min(fit.headroomBytes, (devices[index]?.capacityBytes ?? 0) - total);
    }
    if (hostMemory !== undefined) {
      const onDevices = hostMemory.sharedWithDevices ? fit.totalBytes : 0;
      const hostBytes = hostRestBytes + weights.host;
      fit.spareBytes = Math.min(fit.spareBytes, hostMemory.capacityBytes - onDevices - hostBytes);
    }
    return fit;
  };

  const measure = (scheme: QuantScheme): FormatFit => {
    check();
    let fit = known.get(scheme);
    if (fit === undefined) {
      fit = compute(scheme);
      known.set(scheme, fit);
    }
    return fit;
  };

  return {
    fitOf(scheme) {
      check();
      const isHopeless = isSplit && (wholeWeights(architecture, scheme).devices[0] ?? 0) > roomBytes;
      return isHopeless ? null : measure(scheme);
    },
    measure,
    placed(scheme) {
      const { layers } = shellFor(scheme).placement;
      const layersOf = (index: number) => layers.filter((device) => device === index).length;
      return { plan: null, devices: devices.map((_, index) => ({ layers: layersOf(index) })) };
    },
  };
}

/** All layers on devices, and their routed experts with them. */
function isWhole({ gpuLayers, cpuMoeLayers, kvOffload }: LlamaCppSettings): boolean {
  return gpuLayers === undefined && cpuMoeLayers === 0 && kvOffload !== false;
}

/** What does not depend on the format: where layers go, and what is on each device and the host beside the weights. */
interface Shell {
  placement: LayerPlacement;
  restBytes: number[];
  hostRestBytes: number;
}

function layOutShell(
  architecture: Architecture,
  run: RunSettings,
  devices: readonly Device[],
  settings: LlamaCppSettings,
): Shell {
  const placement = placeWhole(architecture, devices, settings);
  const { cache, compute } = layOutBuffers(architecture, run, placement, null);
  return {
    placement,
    restBytes: devices.map((_, index) => (cache.devices[index] ?? 0) + (compute.devices[index] ?? 0)),
    hostRestBytes: cache.host + compute.host,
  };
}

/** The same with what stands beside the model, which an estimate in any format tells. */
function shellOf({ request, devices, host }: MemoryEstimate, settings: LlamaCppSettings): Shell {
  return {
    placement: placeWhole(request.architecture, request.devices ?? [], settings),
    restBytes: devices.map(({ total, weights }) => total - weights),
    hostRestBytes: host.total - host.weights,
  };
}

function placeWhole(
  architecture: Architecture,
  devices: readonly Device[],
  settings: LlamaCppSettings,
): LayerPlacement {
  return placeLayers({ blockCount: countBlocks(architecture), shares: deviceShares(devices, settings) });
}

/**
 * Weights with all layers on one device, and those in host memory. They are kept: two figures for each model in each
 * format, which every search begins with.
 */
export const wholeWeights: (architecture: Architecture, scheme: QuantScheme) => PlacedBytes = oncePerPair(
  (architecture, scheme) => {
    const { blocks, experts, input, output, tiedOutput } = weightsOf(architecture, scheme);
    let bytes = output + tiedOutput;
    for (let block = 0; block < blocks.length; block += 1) {
      bytes += (blocks[block] ?? 0) + (experts[block] ?? 0);
    }
    return { devices: [bytes], host: input };
  },
);

function spreadWeights(architecture: Architecture, scheme: QuantScheme, placement: LayerPlacement): PlacedBytes {
  return placeWeights(weightsOf(architecture, scheme), placement, 0);
}

function weightsOf(architecture: Architecture, scheme: QuantScheme): WeightLayout {
  return layOutWeights(architecture, storeGroups(architecture, groupTensors(architecture), scheme));
}
