import type { z } from "zod";
import type { EntityRules } from "./entities.js";

/** One thing that is wrong with a row. */
export interface RowProblem {
  /** Field, then keys and list indices within it; empty for the row as a whole. */
  path: readonly (string | number)[];
  /** What is wrong and what is expected, to be read after the path. */
  message: string;
}

export type CheckedRow =
  | { ok: true; input: { slug: string } & Readonly<Record<string, unknown>> }
  | { ok: false; problems: readonly RowProblem[] };

/** Most of a wrong value that a message repeats. */
const MAX_SHOWN_LENGTH = 80;

/** Checks a row of an entity against its rules: the row with its defaults, or everything that is wrong with it. */
export function checkRow(rules: EntityRules, row: unknown): CheckedRow {
  const unstorable = [...findUnstorable(row, [])];
  const result = rules.input.safeParse(row, { error: describeIssue, reportInput: true });
  if (result.success && unstorable.length === 0) return { ok: true, input: result.data };
  const problems = result.success ? [] : result.error.issues.map((issue) => toProblem(rules, issue));
  return { ok: false, problems: [...problems, ...unstorable] };
}

/** What PostgreSQL keeps in no text: the character NUL, and halves of surrogate pairs. */
export const UNSTORABLE = /\0|\p{Surrogate}/u;

/** A key that assigning to an object does not set but for its prototype, so that it would get lost without a word. */
const PROTOTYPE_KEY = "__proto__";

/** Texts and keys, at any depth, that would not be kept as they are. */
function* findUnstorable(value: unknown, path: (string | number)[]): Generator<RowProblem> {
  if (typeof value === "string") {
    if (UNSTORABLE.test(value))
      yield { path, message: "must not have the character NUL or half a surrogate pair in it" };
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* findUnstorable(item, [...path, index]);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      if (UNSTORABLE.test(key))
        yield { path, message: "must not have the character NUL or half a surrogate pair in a key" };
      if (key === PROTOTYPE_KEY) yield { path, message: `must not have the key "${PROTOTYPE_KEY}"` };
      yield* findUnstorable(item, [...path, key]);
    }
  }
}

function toProblem(rules: EntityRules, issue: z.core.$ZodIssue): RowProblem {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys" && path.length === 0) {
    return { path: [issue.keys[0] ?? ""], message: `is not a field of a ${rules.label}` };
  }
  // The rules' own checks say themselves what is wrong with a whole object.
  const isTold = issue.code === "custom" && typeof issue.input === "object";
  const shown = isTold || issue.input === undefined ? "" : showValue(issue.input);
  return { path, message: shown === "" ? issue.message : `${issue.message}; it is ${shown}` };
}

/** Messages for what the rules have no words of their own for. */
function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `is missing; it must be ${withArticle(issue.expected)}`
        : `must be ${withArticle(issue.expected)}`;
    case "invalid_value":
      return `must be one of ${issue.values.map(String).join(", ")}`;
    case "unrecognized_keys":
      return `has unknown fields: ${issue.keys.join(", ")}`;
    case "invalid_union":
      return issue.note === "No matching discriminator"
        ? `names an unknown kind`
        : "is of none of the forms that are allowed here";
    default:
      return undefined;
  }
}

function withArticle(type: string): string {
  const word = type === "record" ? "object" : type === "int" ? "whole number" : type;
  return `${/^[aeiou]/.test(word) ? "an" : "a"} ${word}`;
}

function showValue(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}...` : text;
}
