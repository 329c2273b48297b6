import { z } from "zod";
import { SystemKind } from "../../../data/prisma/enums.js";
import { date, maybe, memoryGib, name, notNegative, positiveInt, reference, slug, sources, text } from "./fields.js";

/** More than today's largest machine of one fast network has, 384; with the largest cards still less than 2^53 bytes. */
const MAX_GPUS = 1_024;
/** A PiB, many times the largest of today. */
const MAX_HOST_MEMORY_GIB = 2 ** 20;

/** A machine or cloud instance with n equal GPUs; `gpu` is the GPU's slug. */
export const systemInput = z.strictObject({
  slug,
  name,
  provider: name,
  kind: z.enum(SystemKind),
  gpu: reference,
  gpuCount: positiveInt.max(MAX_GPUS, `must be at most ${MAX_GPUS}`),
  interconnect: maybe(name),
  scaleUpDomainGpus: positiveInt,
  hostMemoryGib: maybe(memoryGib(MAX_HOST_MEMORY_GIB)),
  maxNodes: maybe(positiveInt),
  vcpus: maybe(positiveInt),
  usdPerHour: maybe(notNegative),
  priceAsOf: maybe(date),
  notes: maybe(text),
  sources,
});
export type SystemInput = z.infer<typeof systemInput>;
