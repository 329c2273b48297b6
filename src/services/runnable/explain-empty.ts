import { countText, sizeText } from "../../estimator/size-text.js";
import { type Hardware, runsOn } from "../estimation/devices.js";
import { describeHardware } from "../estimation/hardware-label.js";
import type { Candidate, Setup } from "./model-fits.js";
import type { Findings } from "./runnable.js";
import type { RunnableFilter, RunnableMissModel, RunnableSettings } from "./types.js";

/** Why a search came by nothing, in a sentence or two; null where it came by something. */
export function explainEmpty(
  findings: Findings,
  setup: Setup,
  settings: RunnableSettings,
  filter: RunnableFilter,
): string | null {
  const { rows, models, hopeless, tooShort, formats, tooTight, misses, refusal, inapplicable } = findings;
  const { runtime, hardware } = setup;
  if (rows.length > 0) return null;
  if (models === 0) {
    const alone = hopeless.length === 0 ? "" : `; none even passes ${hopeless.join(", or ")} alone`;
    return `No model of the catalogue passes all conditions of the filter${alone}.`;
  }
  if (formats === 0) {
    const loaded = setup.formats.map(({ slug }) => slug).join(", ");
    return `None of the formats asked for is one that ${runtime.name} loads: ${loaded}.`;
  }
  if (tooShort === models) {
    return `All ${models} models that pass were trained for less than ${countText(settings.context)} tokens; ask for less context, or list them with \`shortContext: CAP\`.`;
  }
  const obstacle = obstacleOf(setup);
  if (obstacle !== null) return obstacle;
  const beside =
    inapplicable === null
      ? ""
      : ` What is asked for beside the model leaves out ${inapplicable.models} of ${models - tooShort}: ${inapplicable.message}`;
  if (refusal !== null && inapplicable === null) {
    return `${runtime.name} takes none of the models this way: ${refusal.message}`;
  }
  if (refusal !== null) return `No model is left.${beside}`;
  if (tooTight > 0) return `${explainTight(tooTight, filter)}${beside}`;
  const [nearest] = misses;
  const miss = nearest === undefined ? "" : ` The nearest: ${describeMiss(nearest, hardware).message}`;
  return `No model that passes fits on ${describeHardware(hardware)} in any of the formats.${miss}${beside}`;
}

/** Why nothing can be said to fit on the hardware, whatever the model; null where something can. */
export function obstacleOf({ runtime, settings, hardware }: Setup): string | null {
  const foreign = hardware.gpus.find((gpu) => !runsOn(settings.runtime.kind, gpu));
  if (foreign !== undefined) return `${runtime.name} does not run on ${foreign.name}.`;
  const unknown = hardware.gpus.find((_, index) => hardware.devices[index]?.capacityBytes === null);
  return unknown === undefined
    ? null
    : `How much of the memory of ${unknown.name} a process can use is not known, so that what fits cannot be said.`;
}

function explainTight(count: number, { minHeadroomGib, minContext }: RunnableFilter): string {
  const wishes = [
    minHeadroomGib == null ? [] : `leaves ${minHeadroomGib} GiB free on the fullest device`,
    minContext == null ? [] : `allows ${countText(minContext)} tokens per sequence`,
  ].flat();
  return `${count} combinations of model and format fit, but none ${wishes.join(" and ")}.`;
}

/** A candidate that is too large, in the words of the API. */
export function describeMiss(candidate: Candidate, hardware: Hardware): RunnableMissModel {
  const { model, quantFormat, context, total, shortBy } = candidate;
  const { gpus } = hardware;
  const where = `for ${gpus.length === 1 ? "" : "the fullest card of "}${describeHardware(hardware)}`;
  const message = `${model.name} in ${quantFormat.name} with ${countText(context)} tokens is ${sizeText(shortBy)} too large ${where}.`;
  return { model, quantFormat, context, total, shortBy, message };
}
