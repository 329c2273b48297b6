import { ConfigError } from "./config-error.js";
import { MAX_LIST_LENGTH, MAX_PREDICTION_BLOCKS, MAX_WIDTH } from "./limits.js";

export type Path = readonly (string | number)[];

/** Names of the number of layers. */
export const LAYER_COUNTS = ["num_hidden_layers", "num_layers", "n_layer", "n_layers"];
/** Names of the number of prediction blocks (MTP). */
const PREDICTION_COUNTS = ["num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", "num_mtp_layers"];

interface WholeOptions {
  min?: number;
  max?: number;
}

/**
 * Reads the fields of one JSON object with the kinds they must have. A field may go by several names; the first
 * one present and not null counts. Every fault is a {@link ConfigError} that names the field.
 */
export class ConfigReader {
  constructor(
    private readonly fields: Readonly<Record<string, unknown>>,
    readonly path: Path = [],
    /** Read where `fields` has nothing: an enclosing object, or the family's own defaults. */
    private readonly fallback?: ConfigReader,
  ) {}

  /** Wraps a parsed value. @throws ConfigError unless it is an object. */
  static of(value: unknown, path: Path = []): ConfigReader {
    if (!isObject(value)) {
      throw new ConfigError(`${nameOf(path)} must be a JSON object, but is ${describe(value)}.`, "INVALID", path);
    }
    return new ConfigReader(value, path);
  }

  /** The same reader, falling back on `fields` for what is missing. */
  withDefaults(fields: Readonly<Record<string, unknown>>): ConfigReader {
    const last = new ConfigReader(fields, this.path);
    return new ConfigReader(this.fields, this.path, this.fallback ? this.fallback.withFallback(last) : last);
  }

  /** The same reader with `fields` in place of its own of the same names. */
  withOverrides(fields: Readonly<Record<string, unknown>>): ConfigReader {
    return new ConfigReader({ ...this.fields, ...fields }, this.path, this.fallback);
  }

  /** The same reader, asking `other` for what is missing. */
  withFallback(other: ConfigReader): ConfigReader {
    return new ConfigReader(this.fields, this.path, this.fallback ? this.fallback.withFallback(other) : other);
  }

  has(...names: string[]): boolean {
    return this.find(names) !== undefined;
  }

  /** A whole number of at least 1. @throws ConfigError if it is missing or anything else. */
  size(...names: string[]): number {
    return this.required(names, this.optionalSize(...names));
  }

  optionalSize(...names: string[]): number | undefined {
    return this.optionalWhole(names, { min: 1 });
  }

  /** A whole number of at least 0. */
  count(...names: string[]): number {
    return this.required(names, this.optionalCount(...names));
  }

  optionalCount(...names: string[]): number | undefined {
    return this.optionalWhole(names, { min: 0 });
  }

  whole(names: string[], options: WholeOptions): number {
    return this.required(names, this.optionalWhole(names, options));
  }

  optionalWhole(names: string[], { min = 0, max = MAX_WIDTH }: WholeOptions = {}): number | undefined {
    const found = this.find(names);
    return found && toWhole(found.value, found.path, min, max);
  }

  /** A finite number, whole or not. */
  optionalNumber(...names: string[]): number | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (typeof found.value !== "number" || !Number.isFinite(found.value)) {
      throw invalid(found.path, `must be a number, but is ${describe(found.value)}`);
    }
    return found.value;
  }

  flag(name: string, fallback: boolean): boolean {
    return this.optionalFlag(name) ?? fallback;
  }

  optionalFlag(...names: string[]): boolean | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (typeof found.value !== "boolean") {
      throw invalid(found.path, `must be true or false, but is ${describe(found.value)}`);
    }
    return found.value;
  }

  optionalText(...names: string[]): string | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (typeof found.value !== "string") throw invalid(found.path, `must be text, but is ${describe(found.value)}`);
    return found.value;
  }

  /** The field's value whatever its kind, or undefined. */
  raw(...names: string[]): unknown {
    return this.find(names)?.value;
  }

  optionalObject(...names: string[]): ConfigReader | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (!isObject(found.value)) throw invalid(found.path, `must be an object, but is ${describe(found.value)}`);
    return new ConfigReader(found.value, found.path);
  }

  object(...names: string[]): ConfigReader {
    return this.required(names, this.optionalObject(...names));
  }

  optionalObjects(...names: string[]): ConfigReader[] | undefined {
    return this.optionalList(names, (value, path) => {
      if (!isObject(value)) throw invalid(path, `must be an object, but is ${describe(value)}`);
      return new ConfigReader(value, path);
    });
  }

  optionalTexts(...names: string[]): string[] | undefined {
    return this.optionalList(names, (value, path) => {
      if (typeof value !== "string") throw invalid(path, `must be text, but is ${describe(value)}`);
      return value;
    });
  }

  optionalWholes(names: string[], { min = 0, max = MAX_WIDTH }: WholeOptions = {}): number[] | undefined {
    return this.optionalList(names, (value, path) => toWhole(value, path, min, max));
  }

  optionalListLength(...names: string[]): number | undefined {
    return this.optionalList(names, (value) => value)?.length;
  }

  optionalNumbers(...names: string[]): number[] | undefined {
    return this.optionalList(names, (value, path) => {
      if (typeof value !== "number") throw invalid(path, `must be a number, but is ${describe(value)}`);
      return value;
    });
  }

  /** A list with one entry per layer. Entries beyond the last layer, for prediction blocks, are dropped. */
  optionalPerLayer<T>(names: string[], layers: number, read: (value: unknown, path: Path) => T): T[] | undefined {
    const values = this.optionalList(names, read);
    if (values && (values.length < layers || values.length > layers + this.predictionBlocks())) {
      throw this.invalid(names, `has ${values.length} entries, but the model has ${layers} layers`);
    }
    return values?.slice(0, layers);
  }

  /** Prediction blocks that the lists of a config may go on to describe; a part of a config does not say how many. */
  private predictionBlocks(): number {
    return this.has(...LAYER_COUNTS)
      ? (this.optionalWhole(PREDICTION_COUNTS, { max: MAX_PREDICTION_BLOCKS }) ?? 0)
      : MAX_PREDICTION_BLOCKS;
  }

  /** One of `choices` for each layer. */
  optionalChoicePerLayer<T extends string>(names: string[], layers: number, choices: readonly T[]): T[] | undefined {
    return this.optionalPerLayer(names, layers, (value, path) => {
      const choice = choices.find((candidate) => candidate === value);
      if (choice === undefined) {
        throw invalid(path, `must be one of ${choices.join(", ")}, but is ${describe(value)}`);
      }
      return choice;
    });
  }

  /** Either one whole number for all layers or one for each. */
  optionalWholePerLayer(names: string[], layers: number, options: WholeOptions = {}): number[] | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (Array.isArray(found.value)) {
      const { min = 0, max = MAX_WIDTH } = options;
      return this.optionalPerLayer(names, layers, (value, path) => toWhole(value, path, min, max));
    }
    const value = this.whole(names, options);
    return Array.from({ length: layers }, () => value);
  }

  /** An error about the field (its first name unless another one is present). */
  invalid(names: string | readonly string[], problem: string): ConfigError {
    return invalid(this.pathOf(typeof names === "string" ? [names] : names), problem);
  }

  private optionalList<T>(names: readonly string[], read: (value: unknown, path: Path) => T): T[] | undefined {
    const found = this.find(names);
    if (!found) return undefined;
    if (!Array.isArray(found.value)) throw invalid(found.path, `must be a list, but is ${describe(found.value)}`);
    if (found.value.length > MAX_LIST_LENGTH) {
      throw invalid(found.path, `has ${found.value.length} entries; at most ${MAX_LIST_LENGTH} are read`);
    }
    return found.value.map((value, index) => read(value, [...found.path, index]));
  }

  private required<T>(names: readonly string[], value: T | undefined): T {
    if (value !== undefined) return value;
    const alias = names.length > 1 ? ` (also read as ${names.slice(1).join(", ")})` : "";
    throw this.invalid(names, `is missing${alias}`);
  }

  /** A field stated as null is absent on purpose: neither an enclosing object nor a default stands in for it. */
  private find(names: readonly string[]): { value: unknown; path: Path } | undefined {
    let isNull = false;
    for (const name of names) {
      if (!Object.hasOwn(this.fields, name)) continue;
      const value = this.fields[name];
      if (value !== undefined && value !== null) return { value, path: [...this.path, name] };
      isNull ||= value === null;
    }
    return isNull ? undefined : this.fallback?.find(names);
  }

  private pathOf(names: readonly string[]): Path {
    return this.find(names)?.path ?? [...this.path, names[0] ?? ""];
  }
}

/** An error about the value at `path`; `problem` continues the sentence that begins with the field's name. */
export function invalid(path: Path, problem: string): ConfigError {
  return new ConfigError(`${nameOf(path)} ${problem}.`, "INVALID", path);
}

/** Checks that `value` is a whole number in the range. @throws ConfigError */
export function toWhole(value: unknown, path: Path, min: number, max: number): number {
  if (typeof value !== "number") throw invalid(path, `must be a number, but is ${describe(value)}`);
  if (!Number.isInteger(value)) throw invalid(path, `must be a whole number, but is ${describe(value)}`);
  if (value < min) throw invalid(path, `must be at least ${min}, but is ${value}`);
  if (value > max) throw invalid(path, `is ${value}, more than any model could have (at most ${max})`);
  return value;
}

/** A value in a sentence, shortened. */
export function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  if (typeof value === "string") {
    const shown = value.length > 40 ? `${value.slice(0, 40)}...` : value;
    return `the text ${JSON.stringify(shown)}`;
  }
  return String(value);
}

function nameOf(path: Path): string {
  if (path.length === 0) return "The configuration";
  return path.reduce<string>(
    (name, part) => (typeof part === "number" ? `${name}[${part}]` : name ? `${name}.${part}` : part),
    "",
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
