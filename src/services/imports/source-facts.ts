import type { Source } from "../../data/rows.js";
import type { Architecture } from "../../estimator/architecture/architecture.js";
import type { QuantScheme } from "../../estimator/quantization/scheme.js";
import type { UserError } from "../editing/user-error.js";

/** What a source says about a model, before anything is looked up in the catalogue. */
export interface SourceFacts {
  /** For people: "config.json of owner/name". */
  description: string;
  /** Repository that the weights are in, "owner/name"; null when the source does not say. */
  repo: string | null;
  /** Repository of the model that the weights are a quantization of; null when they are the model's own. */
  baseRepo: string | null;
  /** Commit of the repository that was read; null for what people sent. */
  commit: string | null;
  /** Null when only the files are known; `unreadable` says why. */
  architecture: Architecture | null;
  /** Why the architecture is not known; null when it is. */
  unreadable: UserError | null;
  /** Whether the architecture is as complete as a config.json's: a file in GGUF leaves out towers and the like. */
  isWhole: boolean;
  /** As the publisher spells it. */
  name: string | null;
  licence: string | null;
  /** "2024-12", or a day. */
  releasedOn: string | null;
  /** Parameters that the publisher's files hold. */
  publishedParameters: number | null;
  /** How a quantized checkpoint stores its weights; null for one that is not quantized. */
  checkpoint: Checkpoint | null;
  files: readonly PublishedFile[];
  /** Sentences about what was left out, or looks odd. */
  notes: readonly string[];
  sources: readonly Source[];
}

/** Storage of a quantized checkpoint. */
export interface Checkpoint {
  /** As its config names it: "gptq", "fp8". */
  method: string;
  /** Null when the method is not known here. */
  scheme: QuantScheme | null;
}

/** A file of weights, or a set of shards. */
export interface PublishedFile {
  /** A file for llama.cpp, or a checkpoint for serving engines. */
  kind: "gguf" | "checkpoint";
  /** Owner of the repository; null when it is not known where the file is published. */
  publisher: string | null;
  repo: string | null;
  /** Of the first shard where there are several; within the repository. Null when the source does not say. */
  fileName: string | null;
  shards: number;
  /** All shards together. */
  sizeBytes: number;
  /** The format as its publisher calls it: "Q4_K_M". */
  quantName: string;
  /** How its weights are stored; null for one that only its name tells. */
  scheme: QuantScheme | null;
}
