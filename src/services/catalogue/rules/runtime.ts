import { z } from "zod";
import { jsonObject, name, slug, sources, text } from "./fields.js";

/** An inference engine and the constants of its memory rules. */
export const runtimeInput = z.strictObject({
  slug,
  name,
  engineVersion: name,
  constants: jsonObject,
  summary: text,
  sources,
});
export type RuntimeInput = z.infer<typeof runtimeInput>;
