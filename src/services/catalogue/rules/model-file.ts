import { z } from "zod";
import { maybe, name, positiveSafeInt, reference, slug, sources } from "./fields.js";

/** A published file (or set of shards) with its exact size; `model` and `quantFormat` are slugs. */
export const modelFileInput = z.strictObject({
  slug,
  model: reference,
  quantFormat: maybe(reference),
  publisher: name,
  repo: name,
  fileName: maybe(name),
  quantName: name,
  sizeBytes: positiveSafeInt,
  sources,
});
export type ModelFileInput = z.infer<typeof modelFileInput>;
