import { z } from "zod";
import { SystemKind } from "../../../data/prisma/enums.js";
import { date, maybe, name, notNegative, positive, positiveInt, reference, slug, sources, text } from "./fields.js";

/** A machine or cloud instance with n equal GPUs; `gpu` is the GPU's slug. */
export const systemInput = z.strictObject({
  slug,
  name,
  provider: name,
  kind: z.enum(SystemKind),
  gpu: reference,
  gpuCount: positiveInt,
  interconnect: maybe(name),
  scaleUpDomainGpus: positiveInt,
  hostMemoryGib: maybe(positive),
  maxNodes: maybe(positiveInt),
  vcpus: maybe(positiveInt),
  usdPerHour: maybe(notNegative),
  priceAsOf: maybe(date),
  notes: maybe(text),
  sources,
});
export type SystemInput = z.infer<typeof systemInput>;
