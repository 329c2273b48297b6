import { z } from "zod";
import { QuantFamily } from "../../../data/prisma/enums.js";
import { name, notNegativeInt, positive, runtimeSlugs, slug, sources, text } from "./fields.js";
import { quantScheme } from "./quant-scheme.js";

/** No format stores a weight in more. */
const MAX_BITS = 64;

/** How weights are stored. */
export const quantFormatInput = z.strictObject({
  slug,
  name,
  family: z.enum(QuantFamily),
  bitsPerWeight: positive.max(MAX_BITS, `must be at most ${MAX_BITS}`),
  scheme: quantScheme,
  qualityRank: notNegativeInt,
  runtimes: runtimeSlugs,
  summary: text,
  sources,
});
export type QuantFormatInput = z.infer<typeof quantFormatInput>;
