import type { EstimateRequest } from "../estimate.types.js";
import { EstimateError } from "../estimate-error.js";
import { sizeText } from "../size-text.js";
import type { Consumer, ConsumerPlace, DraftModel, ExtraConsumers } from "./consumers.types.js";
import { layOutLora } from "./lora.js";
import { placeAtStart } from "./place-shares.js";
import { layOutPredictionHead } from "./prediction-head.js";
import { layOutVisionEncoder } from "./vision-encoder.js";

/**
 * Everything that takes device memory beside the model: in the order adapters, draft model, prediction head, towers,
 * display; only what is asked for. Each says what it takes where, with its step.
 *
 * @throws EstimateError for what makes no sense, or what the model does not have; its `path` begins with the
 * consumer's name in `extras`.
 */
export function layOutConsumers(request: EstimateRequest, extras: ExtraConsumers, place: ConsumerPlace): Consumer[] {
  const consumers: Consumer[] = [];
  if (extras.lora !== undefined) {
    consumers.push(
      layOutLora(request.architecture, extras.lora, { ...place, tensorParallel: devicesPerStage(request) }),
    );
  }
  if (extras.draftModel !== undefined) {
    consumers.push(layOutDraftModel(request, extras.draftModel, place));
  }
  if (extras.predictionHead !== undefined) {
    consumers.push(layOutPredictionHead(request, extras.predictionHead, place));
  }
  if (extras.vision !== undefined) {
    consumers.push(layOutVisionEncoder(request.architecture, extras.vision, place));
  }
  if (extras.displayReserveBytes !== undefined && extras.displayReserveBytes !== 0) {
    consumers.push(reserveDisplay(extras.displayReserveBytes, place));
  }
  return consumers;
}

/** Devices that share each matrix: a setting of the serving engines. */
function devicesPerStage({ runtime }: EstimateRequest): number {
  return "settings" in runtime && "tensorParallel" in runtime.settings ? runtime.settings.tensorParallel : 1;
}

/** A draft model is a model like any other, on the same devices (llama.cpp, --model-draft; vLLM, speculative_config). */
function layOutDraftModel(
  request: EstimateRequest,
  { request: draft, followsModel }: DraftModel,
  place: ConsumerPlace,
): Consumer {
  const { contextTokens, sequences } = request;
  const devices = request.devices === undefined ? {} : { devices: request.devices };
  const workload = followsModel ? { contextTokens, sequences } : {};
  const layout = layOutAtPath({ ...draft, ...devices, ...workload }, place);
  const { host } = layout;
  const bytesByDevice = layout.devices.map((device) => device.total);
  const parts = (part: "weights" | "kvCache" | "compute") =>
    sizeText(layout.devices.reduce((sum, device) => sum + device[part], 0));
  return {
    kind: "DRAFT_MODEL",
    bytesByDevice,
    hostBytes: host.weights + host.kvCache + host.compute,
    step: {
      title: "Draft model",
      formula: `weights ${parts("weights")} + cache ${parts("kvCache")} + compute ${parts("compute")}`,
      result: sizeText(bytesByDevice.reduce((sum, bytes) => sum + bytes, 0)),
      source: "The same rules as for the model itself",
    },
  };
}

/** The draft's problems are told under its own name. */
function layOutAtPath(draft: EstimateRequest, place: ConsumerPlace) {
  try {
    return place.layOut(draft);
  } catch (error) {
    if (error instanceof EstimateError) {
      throw new EstimateError(error.message, ["draftModel", ...error.path], error.code);
    }
    throw error;
  }
}

/** @throws EstimateError for less than nothing. */
export function checkDisplay(bytes: number): void {
  if (!Number.isFinite(bytes) || bytes < 0) {
    throw new EstimateError(`The display's reserve must be bytes of zero or more, not ${bytes}.`, [
      "displayReserveBytes",
    ]);
  }
}

function reserveDisplay(bytes: number, place: ConsumerPlace): Consumer {
  checkDisplay(bytes);
  const placed = placeAtStart(bytes, place.layersByDevice);
  return {
    kind: "DISPLAY",
    bytesByDevice: placed.bytesByDevice,
    hostBytes: 0,
    step: {
      title: "Display",
      formula: "kept free on the first device for a desktop",
      result: sizeText(bytes),
      source: "Asked for; a Linux desktop with a browser takes 0.3 to 3 GiB (ollama issues 8723 and 15179)",
    },
  };
}
