import { z } from "zod";
import { name, positive, positiveInt, runtimeSlugs, slug, sources, text } from "./fields.js";

/** How KV entries are stored: blocks of `blockElements` values in `blockBytes` bytes. */
export const kvCacheTypeInput = z.strictObject({
  slug,
  name,
  blockElements: positiveInt,
  blockBytes: positiveInt,
  bitsPerValue: positive,
  runtimes: runtimeSlugs,
  summary: text,
  sources,
});
export type KvCacheTypeInput = z.infer<typeof kvCacheTypeInput>;
