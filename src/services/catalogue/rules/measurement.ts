import { z } from "zod";
import { MeasurementKind } from "../../../data/prisma/enums.js";
import { date, jsonObject, maybe, name, positiveInt, reference, slug, sources, text } from "./fields.js";

/** A figure somebody observed; `runtime`, `model`, `quantFormat` and `gpu` are slugs of rows where there are some. */
export const measurementInput = z.strictObject({
  slug,
  kind: z.enum(MeasurementKind),
  runtime: reference,
  engineVersion: maybe(name),
  modelName: name,
  model: maybe(reference),
  quantName: maybe(name),
  quantFormat: maybe(reference),
  gpuName: maybe(name),
  gpu: maybe(reference),
  gpuCount: maybe(positiveInt),
  contextTokens: maybe(positiveInt),
  settings: jsonObject,
  measured: jsonObject.refine((figures) => Object.keys(figures).length > 0, "must have at least one figure"),
  observedOn: maybe(date),
  notes: maybe(text),
  sources,
});
export type MeasurementInput = z.infer<typeof measurementInput>;
