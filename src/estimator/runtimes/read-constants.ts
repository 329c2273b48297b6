import { EstimateError } from "../estimate-error.js";

/** The constants of a runtime as the catalogue's row stores them, not yet checked. */
export type RawConstants = Readonly<Record<string, unknown>>;

/** Key of an entry of `versions` that holds for every version below the one it names. */
const BEFORE = /^before (\d+(?:\.\d+)*)$/;
const VERSION_NUMBER = /\d+(?:\.\d+)*/;

/**
 * The constants that hold for a version. The row describes the newest engine; each entry of its `versions` named
 * "before X" replaces what was different in all versions below X, the oldest entry winning. A version that carries
 * no number, or none at all, is the newest. `version` may be a whole label ("mlx-lm 0.28.2"): its first number counts.
 */
export function constantsOfVersion(raw: RawConstants, version?: string): RawConstants {
  const asked = version === undefined ? null : VERSION_NUMBER.exec(version)?.[0];
  const versions = raw.versions;
  if (asked === null || asked === undefined || !isRecord(versions)) {
    return raw;
  }
  const older = Object.entries(versions)
    .map(([key, changes]) => ({ bound: BEFORE.exec(key)?.[1], changes }))
    .filter((entry): entry is { bound: string; changes: RawConstants } => {
      return entry.bound !== undefined && isRecord(entry.changes) && compareVersions(asked, entry.bound) < 0;
    })
    .sort((a, b) => compareVersions(b.bound, a.bound));
  return Object.assign({}, raw, ...older.map(({ changes }) => changes));
}

/** Negative when `a` is the older version, part by part as numbers; missing parts are zero. */
function compareVersions(a: string, b: string): number {
  const left = a.split(".").map(Number);
  const right = b.split(".").map(Number);
  for (let part = 0; part < Math.max(left.length, right.length); part += 1) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

/**
 * A constant that is a number of zero or more.
 *
 * @throws EstimateError that names the constant when it is missing or no such number.
 */
export function readAmount(raw: RawConstants, name: string): number {
  const value = raw[name];
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
    throw badConstant(name, value, "a number of zero or more");
  }
  return value;
}

/**
 * A constant that is one of a few words.
 *
 * @throws EstimateError that names the constant when it is missing or another value.
 */
export function readChoice<T extends string>(raw: RawConstants, name: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === raw[name]);
  if (choice === undefined) {
    throw badConstant(name, raw[name], `one of ${choices.join(", ")}`);
  }
  return choice;
}

/**
 * A constant that is a list of words.
 *
 * @throws EstimateError that names the constant when it is missing or not such a list.
 */
export function readWords(raw: RawConstants, name: string): readonly string[] {
  const value = raw[name];
  if (!Array.isArray(value) || !value.every((word) => typeof word === "string")) {
    throw badConstant(name, value, "a list of words");
  }
  return value;
}

/**
 * A constant that is a list of numbers of zero or more.
 *
 * @throws EstimateError that names the constant when it is missing or not such a list.
 */
export function readAmounts(raw: RawConstants, name: string): readonly number[] {
  const value = raw[name];
  if (!Array.isArray(value) || !value.every((amount) => typeof amount === "number" && amount >= 0)) {
    throw badConstant(name, value, "a list of numbers of zero or more");
  }
  return value;
}

/**
 * A constant that holds others.
 *
 * @throws EstimateError that names the constant when it is missing or no object.
 */
export function readGroup(raw: RawConstants, name: string): RawConstants {
  const value = raw[name];
  if (!isRecord(value)) {
    throw badConstant(name, value, "an object");
  }
  return value;
}

function badConstant(name: string, value: unknown, expected: string): EstimateError {
  const problem = value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
  return new EstimateError(`The runtime's constant "${name}" ${problem}; it must be ${expected}.`, [
    "runtime",
    "constants",
    name,
  ]);
}

function isRecord(value: unknown): value is RawConstants {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
