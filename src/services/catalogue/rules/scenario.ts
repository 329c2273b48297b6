import { z } from "zod";
import { jsonObject, name, positiveInt, reference, slug, sources } from "./fields.js";

const MAX_TEMPLATE_LENGTH = 20_000;
const MAX_QUESTIONS = 30;

/** A Liquid template; its placeholders are checked by the scenario service, which knows the figures. */
const template = z
  .string()
  .min(1, "must not be empty")
  .max(MAX_TEMPLATE_LENGTH, `must have at most ${MAX_TEMPLATE_LENGTH} characters`);

/** A saved question with the templates of its answer; `model` and `quantFormat` are slugs. */
export const scenarioInput = z.strictObject({
  slug,
  title: name,
  question: template,
  model: reference,
  quantFormat: reference,
  context: positiveInt,
  sequences: positiveInt.default(1),
  settings: jsonObject.default({}),
  answer: template,
  explanation: template,
  verdict: template,
  faq: z
    .array(z.strictObject({ question: template, answer: template }))
    .max(MAX_QUESTIONS, `must have at most ${MAX_QUESTIONS} questions`)
    .default([]),
  sources,
});
export type ScenarioInput = z.infer<typeof scenarioInput>;
