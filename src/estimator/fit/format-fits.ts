import { estimate } from "../estimate.js";
import type { Device, EstimateRequest, LlamaCppSettings, MemoryEstimate } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { onceFor, onceOnly } from "../once-for.js";
import { placeLayers } from "../placement/place-layers.js";
import { countBlocks, placeWeights, type WeightLayout } from "../placement/place-weights.js";
import { prepareModel } from "../prepared-model.js";
import type { QuantScheme } from "../quantization/scheme.js";
import { deviceShares, runSettings } from "../runtimes/llama-cpp/run-settings.js";
import { freeBytes } from "../runtimes/request-checks.js";

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
  placed(scheme: QuantScheme): Pick<MemoryEstimate, "plan" | "devices"> | null;
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
  const check = onceOnly(() => runSettings(request, settings));
  let shell: Shell | undefined;
  let refusal: EstimateError | undefined;

  /** What is refused whatever the format is refused once. */
  const shellFor = (scheme: QuantScheme): Shell => {
    if (refusal !== undefined) {
      throw refusal;
    }
    try {
      shell ??= layOutShell(request, scheme, devices, settings);
      return shell;
    } catch (error) {
      refusal = error instanceof EstimateError ? error : undefined;
      throw error;
    }
  };

  const measure = (scheme: QuantScheme): FormatFit => {
    const { placement, restBytes, hostRestBytes } = shellFor(scheme);
    const { layout } = prepareModel(architecture, scheme);
    const weights =
      devices.length === 1
        ? { devices: [deviceBytes(layout)], host: layout.input }
        : placeWeights(layout, placement, 0);
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

  return {
    fitOf(scheme) {
      check();
      const { layout } = prepareModel(architecture, scheme);
      return isSplit && deviceBytes(layout) > roomBytes ? null : measure(scheme);
    },
    measure,
    placed: (scheme) => ({ plan: null, devices: shellFor(scheme).devices }),
  };
}

/** All layers on devices, and their routed experts with them. */
function isWhole({ gpuLayers, cpuMoeLayers, kvOffload }: LlamaCppSettings): boolean {
  return gpuLayers === undefined && cpuMoeLayers === 0 && kvOffload !== false;
}

/** What does not depend on the format: where layers go, and what is on each device and the host beside the weights. */
interface Shell {
  devices: MemoryEstimate["devices"];
  placement: ReturnType<typeof placeLayers>;
  restBytes: number[];
  hostRestBytes: number;
}

function layOutShell(
  request: Omit<EstimateRequest, "scheme">,
  scheme: QuantScheme,
  devices: readonly Device[],
  settings: LlamaCppSettings,
): Shell {
  const memory: MemoryEstimate = estimate({ ...request, scheme });
  return {
    devices: memory.devices,
    placement: placeLayers({
      blockCount: countBlocks(request.architecture),
      shares: deviceShares(devices, settings),
    }),
    restBytes: memory.devices.map(({ total, weights }) => total - weights),
    hostRestBytes: memory.host.total - memory.host.weights,
  };
}

/** Weights that go to devices, wherever they are there: all but the tables read by token id. */
const deviceBytes = onceFor((layout: WeightLayout) => {
  const { blocks, experts, output, tiedOutput } = layout;
  let bytes = output + tiedOutput;
  for (let block = 0; block < blocks.length; block += 1) {
    bytes += (blocks[block] ?? 0) + (experts[block] ?? 0);
  }
  return bytes;
});
