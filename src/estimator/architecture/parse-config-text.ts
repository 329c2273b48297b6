import { ConfigError } from "./config-error.js";
import { MAX_CONFIG_CHARACTERS } from "./limits.js";

/** What Python's json module writes that JSON does not have. */
const PYTHON_NUMBERS = ["-Infinity", "Infinity", "NaN"];

/**
 * Parses the text of a config.json as published: JSON, in which `Infinity`, `-Infinity` and `NaN` may stand
 * (Python's json module writes them; Nemotron's files have them); they are read as null.
 *
 * @throws ConfigError (INVALID, empty path) for text that is empty, cut off, not JSON, or too long.
 */
export function parseConfigText(text: string): unknown {
  if (text.length > MAX_CONFIG_CHARACTERS) {
    throw new ConfigError(
      `The configuration is ${text.length} characters long; a config.json has at most ${MAX_CONFIG_CHARACTERS}.`,
      "INVALID",
    );
  }
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (trimmed === "") throw new ConfigError("The configuration is empty.", "INVALID");
  if (!trimmed.startsWith("{")) {
    const start = JSON.stringify(trimmed.slice(0, 20));
    throw new ConfigError(
      `The configuration is not a JSON object: it begins with ${start}. Paste the contents of config.json.`,
      "INVALID",
    );
  }
  try {
    return JSON.parse(replacePythonNumbers(trimmed));
  } catch (error) {
    throw new ConfigError(explain(trimmed, error), "INVALID");
  }
}

/** One pass over the text: strings are copied, Python's numbers outside of them become null. */
function replacePythonNumbers(text: string): string {
  if (!text.includes("Infinity") && !text.includes("NaN")) return text;
  const parts: string[] = [];
  let copied = 0;
  for (let index = 0; index < text.length; index += 1) {
    if (text[index] === '"') {
      index = endOfString(text, index);
      continue;
    }
    const number = PYTHON_NUMBERS.find((candidate) => text.startsWith(candidate, index));
    if (!number) continue;
    parts.push(text.slice(copied, index), "null");
    index += number.length - 1;
    copied = index + 1;
  }
  parts.push(text.slice(copied));
  return parts.join("");
}

/** Index of the quote that closes the string opened at `start`, or of the last character. */
function endOfString(text: string, start: number): number {
  let index = start + 1;
  while (index < text.length && text[index] !== '"') index += text[index] === "\\" ? 2 : 1;
  return index;
}

function explain(text: string, error: unknown): string {
  if (!text.endsWith("}")) return "The configuration is cut off: the JSON ends before its last bracket is closed.";
  return `The configuration is not valid JSON: ${error instanceof Error ? error.message : String(error)}.`;
}
