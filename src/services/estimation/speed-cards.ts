import type { GpuRow, RuntimeRow } from "../../data/rows.js";
import { onceFor } from "../../estimator/once-for.js";
import { readSpeedConstants } from "../../estimator/speed/read-speed-constants.js";
import type { SpeedCard, SpeedConstants } from "../../estimator/speed/speed.types.js";

/** GB/s of one lane in one direction by PCIe generation, encoding taken off (PCI-SIG, 8 to 64 GT/s). */
const LANE_GB_PER_SECOND: Readonly<Record<string, number>> = { "3.0": 0.985, "4.0": 1.969, "5.0": 3.938, "6.0": 7.563 };

/** Cards in slots are joined two by two, where they are. */
const CARDS_UNDER_A_BRIDGE = 2;

/** A card as the estimate of speed sees it; the same object each time. */
export const describeSpeedCard: (gpu: GpuRow) => SpeedCard = onceFor((gpu) => ({
  name: gpu.slug,
  vendor: gpu.vendor,
  architecture: gpu.architecture,
  gpuClass: gpu.gpuClass,
  memoryType: gpu.memoryType,
  bandwidthGbPerSecond: gpu.bandwidthGbPerSecond,
  fp16Tflops: gpu.fp16Tflops,
  fp32Tflops: gpu.fp32Tflops,
  fp8Tflops: gpu.fp8Tflops,
  fp4Tflops: gpu.fp4Tflops,
  linkGbPerSecond: gpu.interconnectGbPerSecond,
  linkedCards: gpu.form === "PCIE" ? CARDS_UNDER_A_BRIDGE : Number.POSITIVE_INFINITY,
  pcieGbPerSecond: pcieGbPerSecond(gpu.pcie),
}));

/** "4.0 x16" as GB/s in one direction; null for other links. */
function pcieGbPerSecond(pcie: string | null): number | null {
  const [, generation, lanes] = /^(\d\.0) x(\d+)$/.exec(pcie ?? "") ?? [];
  const lane = generation === undefined ? undefined : LANE_GB_PER_SECOND[generation];
  return lane === undefined ? null : lane * Number(lanes);
}

/**
 * How fast a runtime is, from its row; null where the row does not say.
 *
 * @throws EstimateError for constants that make no sense
 */
export const speedConstants: (runtime: RuntimeRow) => SpeedConstants | null = onceFor((runtime) =>
  readSpeedConstants(runtime.name, runtime.constants),
);
