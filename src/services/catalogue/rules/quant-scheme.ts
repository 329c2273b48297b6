import { z } from "zod";
import type { TensorRole } from "../../../estimator/architecture/architecture.js";
import { GGML_FILE_TYPES } from "../../../estimator/quantization/ggml-file-types.js";
import { GGML_TYPES } from "../../../estimator/quantization/ggml-types.js";
import type { QuantScheme } from "../../../estimator/quantization/scheme.js";
import { name, positive, positiveInt } from "./fields.js";

/** No format stores a weight in more. */
const MAX_BITS = 64;

/** Every role; the compiler notices one that is missing here. */
const ROLES: Record<TensorRole, TensorRole> = {
  TOKEN_EMBEDDING: "TOKEN_EMBEDDING",
  OUTPUT: "OUTPUT",
  ATTENTION: "ATTENTION",
  INDEXER: "INDEXER",
  RECURRENT: "RECURRENT",
  FEED_FORWARD: "FEED_FORWARD",
  ROUTER: "ROUTER",
  EXPERTS: "EXPERTS",
  SHARED_EXPERTS: "SHARED_EXPERTS",
  NORM: "NORM",
  PER_LAYER_EMBEDDING: "PER_LAYER_EMBEDDING",
  NEXT_TOKEN_PREDICTION: "NEXT_TOKEN_PREDICTION",
  OTHER: "OTHER",
};

const bits = positive.max(MAX_BITS, `must be at most ${MAX_BITS}`);
const roles = z.array(z.enum(ROLES)).min(1, "must name at least one role");
const ggmlType = z.enum(Object.keys(GGML_TYPES), "must be a ggml type, such as Q8_0");

const ggml = z.strictObject({
  kind: z.literal("ggml"),
  fileType: z.enum(Object.keys(GGML_FILE_TYPES), "must be a file type of llama-quantize, such as Q4_K_M"),
  importanceMatrix: z.exactOptional(z.boolean()),
  recipe: z.exactOptional(z.enum(["current", "before-2026-04"])),
  sourceType: z.exactOptional(z.enum(["F16", "BF16", "F32"])),
  expertsType: z.exactOptional(ggmlType),
  outputType: z.exactOptional(ggmlType),
  embeddingType: z.exactOptional(ggmlType),
  pure: z.exactOptional(z.boolean()),
});

/** An entry may be a whole table of codes. */
const entryBits = positive;

const scale = z.discriminatedUnion("per", [
  z.strictObject({ per: z.literal("group"), groupSize: positiveInt, bits: entryBits }),
  z.strictObject({ per: z.literal("block"), blockSize: positiveInt, bits: entryBits }),
  z.strictObject({ per: z.literal("tile"), rows: positiveInt, columns: positiveInt, bits: entryBits }),
  z.strictObject({ per: z.literal("output-row"), bits: entryBits }),
  z.strictObject({ per: z.literal("input-row"), bits: entryBits }),
  z.strictObject({ per: z.literal("tensor"), bits: entryBits }),
]);

const storage = {
  type: name,
  weightBits: bits,
  scales: z.array(scale),
  oddGroups: z.exactOptional(z.enum(["short", "leave"])),
};

const uniform = z.strictObject({
  kind: z.literal("uniform"),
  ...storage,
  quantizedRoles: roles,
  restBits: bits,
  restType: z.exactOptional(name),
  overrides: z.exactOptional(z.array(z.strictObject({ ...storage, roles }))),
});

const average = z.strictObject({
  kind: z.literal("average"),
  type: name,
  bitsPerWeight: bits,
  outputBits: bits,
  quantizedRoles: roles,
  restBits: bits,
  restType: z.exactOptional(name),
});

/** The estimator's description of how a format stores weights. */
export const quantScheme: z.ZodType<QuantScheme> = z.discriminatedUnion("kind", [ggml, uniform, average]);
