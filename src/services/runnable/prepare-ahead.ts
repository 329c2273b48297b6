import { setImmediate as nextTurn } from "node:timers/promises";
import type { Catalogue } from "../../data/catalogue.js";
import { prepareModel } from "../../estimator/prepared-model.js";
import { loadableFormats, unlessRefused } from "../estimation/best-format.js";
import { storageOfFormat } from "../estimation/storage.js";

/** The runtime that is asked about when none is named. */
const DEFAULT_RUNTIME = "llama-cpp";

/**
 * Works out how large every model is in every format that the default runtime loads, while nobody is waiting for it:
 * the first to ask what their hardware can run finds it done. Requests are let in after every model and format, so that
 * none waits longer than one of them takes. Ends early when told to.
 */
export async function prepareAhead(catalogue: Catalogue, signal: AbortSignal): Promise<void> {
  const runtime = catalogue.runtimes.bySlug.get(DEFAULT_RUNTIME);
  if (runtime === undefined) return;
  const formats = loadableFormats(catalogue, runtime, DEFAULT_RUNTIME);
  for (const model of catalogue.models.rows) {
    if (model.archivedAt !== null) continue;
    for (const format of formats) {
      if (signal.aborted) return;
      unlessRefused(() => prepareModel(model.architecture, storageOfFormat(format, model, catalogue).scheme));
      await nextTurn();
    }
  }
}
