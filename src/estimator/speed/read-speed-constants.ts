import { type ConstantReader, readConstants } from "../runtimes/version-constants.js";
import type { CardFamily, SpeedConstants, StorageClass, StorageConstants } from "./speed.types.js";

/**
 * The `speed` constants of a Runtime row; null where it has none.
 *
 * @throws EstimateError at `["runtime"]` that names the field at fault.
 */
export function readSpeedConstants(name: string, constants: unknown): SpeedConstants | null {
  const row = readConstants({ name, packages: [] }, constants);
  return row.has("speed") ? readSpeed(row.object("speed")) : null;
}

function readSpeed(speed: ConstantReader): SpeedConstants {
  const storage = speed.object("storage");
  const reduceUs = speed.object("reduceUs");
  return {
    basis: speed.text("basis"),
    nativePeaks: speed.texts("nativePeaks").filter((peak) => peak === "fp8" || peak === "fp4"),
    launchOverlaps: speed.flag("launchOverlaps"),
    stepUs: speed.number("stepUs"),
    operationUs: speed.number("operationUs"),
    expertUs: speed.number("expertUs"),
    storage: {
      half: readStorage(storage, "half"),
      fp8: readStorage(storage, "fp8"),
      int8: readStorage(storage, "int8"),
      fourBit: readStorage(storage, "fourBit"),
    },
    cacheBandwidth: speed.positive("cacheBandwidth"),
    activationPasses: speed.number("activationPasses"),
    scoreBytes: speed.number("scoreBytes"),
    attentionCompute: speed.positive("attentionCompute"),
    reduceUs: { linked: reduceUs.number("linked"), pcie: reduceUs.number("pcie") },
    handoverUs: speed.number("handoverUs"),
    families: speed.list("families").map(readFamily),
  };
}

function readStorage(storage: ConstantReader, name: StorageClass): StorageConstants {
  const row = storage.object(name);
  return {
    bandwidth: row.positive("bandwidth"),
    compute: row.positive("compute"),
    launch: row.positive("launch"),
    tileRows: row.count("tileRows"),
  };
}

function readFamily(family: ConstantReader): CardFamily {
  return {
    name: family.text("name"),
    ...(family.has("vendors") && { vendors: family.texts("vendors") }),
    ...(family.has("architectures") && { architectures: family.texts("architectures") }),
    ...(family.has("architectureSuffix") && { architectureSuffix: family.text("architectureSuffix") }),
    ...(family.has("classes") && { classes: family.texts("classes") }),
    ...(family.has("memory") && { memory: family.text("memory") }),
    bandwidth: family.positive("bandwidth"),
    compute: family.positive("compute"),
    launch: family.positive("launch"),
    cache: family.positive("cache"),
  };
}
