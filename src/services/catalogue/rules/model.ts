import { z } from "zod";
import type { Architecture } from "../../../estimator/architecture/architecture.js";
import { ConfigError } from "../../../estimator/architecture/config-error.js";
import { assertArchitecture } from "../../../estimator/architecture/validate.js";
import { date, maybe, name, positiveSafeInt, slug, sources, text } from "./fields.js";

const architecture = z.unknown().transform((value, context): Architecture => {
  try {
    return assertArchitecture(value);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    // The estimator's sentence names the place again, from the architecture's own root.
    const message = `cannot be used: ${error.message.replace(/\.$/, "")}`;
    context.issues.push({ code: "custom", input: value, path: [...error.path], message });
    return z.NEVER;
  }
});

/** An open-weight model; what follows from its architecture is computed, not given. */
export const modelInput = z.strictObject({
  slug,
  name,
  family: name,
  vendor: name,
  licence: maybe(name),
  releasedOn: maybe(date),
  huggingFaceRepo: maybe(
    z.string().regex(/^[\w.-]+\/[\w.-]+$/, 'must be a repository such as "owner/model", without the site'),
  ),
  publishedParameters: maybe(positiveSafeInt),
  parametersNote: maybe(text),
  architecture,
  sources,
});
export type ModelInput = z.infer<typeof modelInput>;
