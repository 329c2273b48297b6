import { listTensors } from "../../tensors/list-tensors.js";
import type { Architecture } from "../architecture.js";
import { ConfigError } from "../config-error.js";
import { architectureFromConfig } from "../from-config.js";
import { configFromGguf } from "./config-from-gguf.js";
import type { GgufHeader, GgufTensor } from "./gguf-header.js";

/** Differing tensors that a message names. */
const MAX_NAMED = 3;

/**
 * Describes the model in a GGUF file by its header. The description is only given when its tensors are the file's, each by
 * name and shape.
 *
 * @throws ConfigError - INVALID for metadata that is missing or makes no sense; NOT_MODELLED for an architecture that is
 *   not read from GGUF, or whose tensors are others than the ones described.
 */
export function architectureFromGguf(header: GgufHeader): Architecture {
  const architecture = architectureFromConfig(configFromGguf(header));
  const differences = compareTensors(architecture, header.tensors);
  if (differences.length === 0) return architecture;
  const more = differences.length > MAX_NAMED ? ` and ${differences.length - MAX_NAMED} more` : "";
  throw new ConfigError(
    `The file's tensors are not those that are known of "${String(header.metadata["general.architecture"])}": ` +
      `${differences.slice(0, MAX_NAMED).join("; ")}${more}. Import the model's config.json instead.`,
    "NOT_MODELLED",
    ["tensors"],
  );
}

/** How a file's tensors differ from those of a description, a phrase each; empty where they are the same. */
export function compareTensors(architecture: Architecture, tensors: readonly GgufTensor[]): string[] {
  const expected = new Map(listTensors(architecture).map(({ name, shape }) => [name, withoutTrailingOnes(shape)]));
  const found = new Map(tensors.map(({ name, shape }) => [name, withoutTrailingOnes(shape)]));
  const wrong = [...found].flatMap(([name, shape]) => {
    const wanted = expected.get(name);
    if (wanted === undefined) return [`${quote(name)} is not expected`];
    const isSame = wanted.length === shape.length && wanted.every((width, index) => width === shape[index]);
    return isSame ? [] : [`${quote(name)} is ${shape.join(" x ")}, not ${wanted.join(" x ")}`];
  });
  const missing = [...expected.keys()].filter((name) => !found.has(name)).map((name) => `${name} is missing`);
  return [...wrong, ...missing];
}

function withoutTrailingOnes(shape: readonly number[]): readonly number[] {
  let length = shape.length;
  while (length > 1 && shape[length - 1] === 1) length -= 1;
  return shape.slice(0, length);
}

/** Longest name that a message repeats. */
const LONGEST_NAME = 80;

function quote(name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}...` : name;
}
