import { setImmediate as nextTurn } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { createFormatFits } from "../../estimator/fit/format-fits.js";
import { createServingFits } from "../../estimator/fit/serving-fits.js";
import { UNLIMITED_DEVICE } from "../../estimator/runtimes/memory-layout.js";
import { loadableFormats, unlessRefused } from "../estimation/best-format.js";
import { resolveSettings } from "../estimation/request.js";
import { storageOfFormat } from "../estimation/storage.js";
import type { RuntimeInput } from "../estimation/types.js";
import { DEFAULT_SETTINGS } from "./runnable.js";
import { sharedArchitecture } from "./shared-architecture.js";

const ON_ONE_DEVICE = { tensorParallel: 1, pipelineParallel: 1, expertParallel: false };

/** The engines that are asked about most, with the defaults of the schema; the default one first. */
const ENGINES: readonly RuntimeInput[] = [
  {},
  { vllm: { ...ON_ONE_DEVICE, enforceEager: false } },
  { sglang: { ...ON_ONE_DEVICE, dataParallelAttention: false } },
];

/**
 * Works out how every model stands to one device in every format, engine by engine, while nobody is waiting for it. What
 * does not depend on the device is found by the first to ask what their hardware can run: tensors by model, and for
 * llama.cpp weights by format and the buffers of the default settings. Besides, the code has been compiled by then.
 * Requests are let in after every model, so that none waits longer than one of them takes. Ends early when told to.
 */
export async function prepareAhead(catalogue: Catalogue, signal: AbortSignal): Promise<void> {
  for (const engine of ENGINES) {
    const { runtime, settings } = resolveSettings({ ...DEFAULT_SETTINGS, runtime: engine }, [], catalogue);
    const formats = loadableFormats(catalogue, runtime, settings.runtime.kind);
    for (const model of catalogue.models.rows) {
      if (signal.aborted) return;
      if (model.archivedAt !== null) continue;
      const request = {
        ...settings,
        architecture: sharedArchitecture(model, catalogue),
        devices: [UNLIMITED_DEVICE],
      };
      const fits = createFormatFits(request) ?? createServingFits(request);
      for (const format of formats) {
        unlessRefused(() => fits?.measure(storageOfFormat(format, model, catalogue).scheme) ?? null);
      }
      await nextTurn();
    }
  }
}
