import { EstimateError } from "../estimate-error.js";

/**
 * Constants of a Runtime row, as data of the catalogue: `version` is the newest version that the row itself describes
 * ("5" is every 5.x), `versions` what was different before, keyed by the version from which on it held.
 */
type Row = Readonly<Record<string, unknown>>;

/** An engine as messages name it, and as its releases are labelled: both "0.28.2" and "mlx-lm 0.28.2" are versions. */
export interface Engine {
  name: string;
  /** Names of its packages in lower case. */
  packages: readonly string[];
}

/**
 * A reader of the constants that held in a version, merged one level deep over the row's own; of the row's own when no
 * version is asked. A version between two known ones takes the older one's constants, which held until the newer came.
 *
 * @throws EstimateError at `["runtime", "version"]` with the known versions for one that is older or newer than all of
 * them, or no version at all; at `["runtime"]` for constants that are no row.
 */
export function readConstants(engine: Engine, constants: unknown, version?: string): ConstantReader {
  const row = asRow(engine, constants, "constants");
  return new ConstantReader(engine.name, version === undefined ? row : rowOfVersion(engine, row, version));
}

function rowOfVersion(engine: Engine, row: Row, version: string): Row {
  const versions = row.versions === undefined ? {} : asRow(engine, row.versions, "versions");
  const older = Object.keys(versions).sort((a, b) => compareVersions(partsOf(a), partsOf(b)));
  const newest = typeof row.version === "string" ? row.version : null;
  const known = newest === null ? older : [...older, newest];
  const asked = parseVersion(engine, version);
  const isTooNew =
    newest !== null && compareVersions(asked?.slice(0, partsOf(newest).length) ?? [], partsOf(newest)) > 0;
  const held =
    asked === null || isTooNew ? undefined : known.findLast((key) => compareVersions(partsOf(key), asked) <= 0);
  if (held === undefined) {
    throw new EstimateError(
      `${engine.name} ${version} is not known; known are the versions from ${known[0] ?? "none"} on: ${known.join(", ")}.`,
      ["runtime", "version"],
    );
  }
  return held === newest ? row : mergeRows(row, asRow(engine, versions[held], `versions.${held}`));
}

function mergeRows(row: Row, older: Row): Row {
  const merged: Record<string, unknown> = { ...row };
  for (const [key, value] of Object.entries(older)) {
    const own = merged[key];
    merged[key] = isRow(own) && isRow(value) ? { ...own, ...value } : value;
  }
  return merged;
}

/** "vllm 0.19.0rc1" as [0, 19, 0]; null where neither a number nor one of the engine's packages comes first. */
function parseVersion({ packages }: Engine, version: string): number[] | null {
  const [first = "", ...rest] = version.split(" ");
  const label = packages.includes(first.toLowerCase()) ? rest.join(" ") : version;
  const number = /^v?(\d+(?:\.\d+)*)/.exec(label)?.[1];
  return number === undefined ? null : partsOf(number);
}

const partsOf = (number: string): number[] => number.split(".").map(Number);

/** Negative when `a` is the older version, part by part; missing parts are zero. */
function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = (a[index] ?? 0) - (b[index] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return 0;
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);

function asRow(engine: Engine, value: unknown, name: string): Row {
  if (!isRow(value)) {
    throw new EstimateError(`The catalogue's row of ${engine.name} has no ${name}.`, ["runtime"]);
  }
  return value;
}

const isAmount = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value) && value >= 0;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 1;

/** Reads typed fields of a row; every complaint is an EstimateError at `["runtime"]` that names the field. */
export class ConstantReader {
  constructor(
    private readonly engine: string,
    private readonly row: Row,
    private readonly path: string = "constants",
  ) {}

  /** A number of at least 0. */
  number(name: string): number {
    const value = this.row[name];
    return isAmount(value) ? value : this.complain(name, "a number of at least 0");
  }

  /** A number above 0. */
  positive(name: string): number {
    const value = this.row[name];
    return isAmount(value) && value > 0 ? value : this.complain(name, "a number above 0");
  }

  /** A number above 0 and up to 1. */
  share(name: string): number {
    const value = this.row[name];
    return isAmount(value) && value > 0 && value <= 1 ? value : this.complain(name, "a share above 0 and up to 1");
  }

  /** A whole number of at least 1. */
  count(name: string): number {
    const value = this.row[name];
    return isCount(value) ? value : this.complain(name, "a whole number of at least 1");
  }

  counts(name: string): number[] {
    const value = this.row[name];
    return Array.isArray(value) && value.every(isCount)
      ? value
      : this.complain(name, "a list of whole numbers of at least 1");
  }

  flag(name: string): boolean {
    const value = this.row[name];
    return typeof value === "boolean" ? value : this.complain(name, "true or false");
  }

  choice<const T extends string>(name: string, choices: readonly T[]): T {
    return choices.find((choice) => choice === this.row[name]) ?? this.complain(name, `one of ${choices.join(", ")}`);
  }

  text(name: string): string {
    const value = this.row[name];
    return typeof value === "string" ? value : this.complain(name, "a text");
  }

  texts(name: string): string[] {
    const value = this.row[name];
    return Array.isArray(value) && value.every((entry) => typeof entry === "string")
      ? value
      : this.complain(name, "a list of texts");
  }

  object(name: string): ConstantReader {
    const value = this.row[name];
    return isRow(value)
      ? new ConstantReader(this.engine, value, `${this.path}.${name}`)
      : this.complain(name, "an object");
  }

  list(name: string): ConstantReader[] {
    const value = this.row[name];
    return Array.isArray(value) && value.every(isRow)
      ? value.map((entry, index) => new ConstantReader(this.engine, entry, `${this.path}.${name}[${index}]`))
      : this.complain(name, "a list of objects");
  }

  has(name: string): boolean {
    return this.row[name] !== undefined;
  }

  private complain(name: string, expected: string): never {
    const value = this.row[name];
    const problem = value === undefined ? "is missing" : `is ${JSON.stringify(value)}`;
    throw new EstimateError(`${this.path}.${name} of ${this.engine}'s row ${problem}; it must be ${expected}.`, [
      "runtime",
    ]);
  }
}
