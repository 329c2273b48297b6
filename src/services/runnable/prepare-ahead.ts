import { setImmediate as nextTurn } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { estimate } from "../../estimator/estimate.js";
import { prepareModel } from "../../estimator/prepared-model.js";
import { loadableFormats, unlessRefused } from "../estimation/best-format.js";
import { resolveSettings } from "../estimation/request.js";
import { storageOfFormat } from "../estimation/storage.js";
import { DEFAULT_SETTINGS } from "./runnable.js";
import { sharedArchitecture } from "./shared-architecture.js";

/**
 * Works out how large every model is in every format that the default runtime loads, and its buffers under the default
 * settings, while nobody is waiting for it: the first to ask what their hardware can run finds it done. Requests are let
 * in after every model and format, so that none waits longer than one of them takes. Ends early when told to.
 */
export async function prepareAhead(catalogue: Catalogue, signal: AbortSignal): Promise<void> {
  const { runtime, settings } = resolveSettings(DEFAULT_SETTINGS, [], catalogue);
  const formats = loadableFormats(catalogue, runtime, settings.runtime.kind);
  for (const model of catalogue.models.rows) {
    if (model.archivedAt !== null) continue;
    const architecture = sharedArchitecture(model, catalogue);
    for (const format of formats) {
      if (signal.aborted) return;
      unlessRefused(() => prepareModel(architecture, storageOfFormat(format, model, catalogue).scheme));
      await nextTurn();
    }
    const [best] = formats;
    if (best !== undefined) unlessRefused(() => estimate({ ...settings, architecture, scheme: best.scheme }));
    await nextTurn();
  }
}
