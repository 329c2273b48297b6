import { setImmediate as nextTurn } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { createFormatFits } from "../../estimator/fit/format-fits.js";
import { UNLIMITED_DEVICE } from "../../estimator/runtimes/memory-layout.js";
import { loadableFormats, unlessRefused } from "../estimation/best-format.js";
import { resolveSettings } from "../estimation/request.js";
import { storageOfFormat } from "../estimation/storage.js";
import { DEFAULT_SETTINGS } from "./runnable.js";
import { sharedArchitecture } from "./shared-architecture.js";

/**
 * Works out how large every model is in every format that the default runtime loads, with the buffers of the default
 * settings, while nobody is waiting for it: the first to ask what their hardware can run finds it done. Requests are let
 * in after every model and format, so that none waits longer than one of them takes. Ends early when told to.
 */
export async function prepareAhead(catalogue: Catalogue, signal: AbortSignal): Promise<void> {
  const { runtime, settings } = resolveSettings(DEFAULT_SETTINGS, [], catalogue);
  const formats = loadableFormats(catalogue, runtime, settings.runtime.kind);
  for (const model of catalogue.models.rows) {
    if (model.archivedAt !== null) continue;
    const architecture = sharedArchitecture(model, catalogue);
    const fits = createFormatFits({ ...settings, architecture, devices: [UNLIMITED_DEVICE] });
    for (const format of formats) {
      if (signal.aborted) return;
      unlessRefused(() => fits?.measure(storageOfFormat(format, model, catalogue).scheme) ?? null);
      await nextTurn();
    }
  }
}
