import { z } from "zod";
import { explainUnusable } from "../../estimation/runtimes.js";
import { jsonObject, name, slug, sources, text } from "./fields.js";

/** An inference engine and the constants of its memory rules. */
export const runtimeInput = z
  .strictObject({
    slug,
    name,
    engineVersion: name,
    constants: jsonObject,
    summary: text,
    sources,
  })
  .check((context) => {
    // An engine whose constants the estimator cannot read would fail every estimate.
    const { slug: engine, constants } = context.value;
    const reason = explainUnusable(engine, constants);
    if (reason === null) return;
    const message = `cannot be used: ${reason.replace(/\.$/, "")}`;
    context.issues.push({ code: "custom", input: constants, path: ["constants"], message });
  });
export type RuntimeInput = z.infer<typeof runtimeInput>;
