import { EstimateError } from "../../estimate-error.js";

/**
 * Constants of a Runtime row, as data of the catalogue: `version` is the newest version that the row itself describes,
 * `versions` what was different before, keyed by the version from which on it held.
 */
type Row = Readonly<Record<string, unknown>>;

/**
 * The constants that held in a version, merged one level deep over the row's own; the row's own when none is asked.
 * A version between two known ones takes the older one's constants, which held until the newer came.
 *
 * @throws EstimateError with the known versions for one that is older or newer than all of them, or no version at all.
 */
export function constantsOfVersion(engine: string, constants: unknown, version?: string): Row {
  const row = asRow(engine, constants, "constants");
  if (version === undefined) {
    return row;
  }
  const newest = typeof row.version === "string" ? row.version : null;
  const versions = row.versions === undefined ? {} : asRow(engine, row.versions, "versions");
  const known = Object.keys(versions)
    .filter((key) => parseVersion(key) !== null)
    .sort((a, b) => compareVersions(parseVersion(a) ?? [], parseVersion(b) ?? []));
  const listed = newest === null ? known : [...known, newest];
  const asked = parseVersion(version);
  const unknown = new EstimateError(
    `${engine} ${version} is not known; known are the versions from ${listed[0] ?? "none"} on: ${listed.join(", ")}.`,
    ["runtime", "version"],
  );
  if (asked === null) {
    throw unknown;
  }
  const newestParts = newest === null ? null : parseVersion(newest);
  if (newestParts !== null && compareVersions(asked.slice(0, newestParts.length), newestParts) > 0) {
    throw unknown;
  }
  if (newestParts !== null && compareVersions(asked, newestParts) >= 0) {
    return row;
  }
  const held = known.findLast((key) => compareVersions(parseVersion(key) ?? [], asked) <= 0);
  if (held === undefined) {
    throw unknown;
  }
  return mergeRows(row, asRow(engine, versions[held], `versions.${held}`));
}

function mergeRows(row: Row, older: Row): Row {
  const merged: Record<string, unknown> = { ...row };
  for (const [key, value] of Object.entries(older)) {
    const own = merged[key];
    merged[key] = isRow(own) && isRow(value) ? { ...own, ...value } : value;
  }
  return merged;
}

/** "0.19.0rc1" as [0, 19, 0]; null where it does not start with a number. */
function parseVersion(version: string): number[] | null {
  const parts = /^v?(\d+(?:\.\d+)*)/.exec(version)?.[1];
  return parts === undefined ? null : parts.split(".").map(Number);
}

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

function asRow(engine: string, value: unknown, name: string): Row {
  if (!isRow(value)) {
    throw new EstimateError(`The catalogue's row of ${engine} has no ${name}.`, ["runtime"]);
  }
  return value;
}

/** Reads typed fields of a row; every complaint names the field. */
export class ConstantReader {
  constructor(
    private readonly engine: string,
    private readonly row: Row,
    private readonly path: string = "constants",
  ) {}

  /** A number of at least 0. */
  number(name: string): number {
    const value = this.row[name];
    if (typeof value !== "number" || !Number.isFinite(value) || value < 0) {
      throw this.complain(name, "a number of at least 0");
    }
    return value;
  }

  /** A number above 0 and up to 1. */
  share(name: string): number {
    const value = this.number(name);
    if (value === 0 || value > 1) {
      throw this.complain(name, "a share above 0 and up to 1");
    }
    return value;
  }

  /** A whole number of at least 1. */
  count(name: string): number {
    const value = this.number(name);
    if (!Number.isSafeInteger(value) || value < 1) {
      throw this.complain(name, "a whole number of at least 1");
    }
    return value;
  }

  flag(name: string): boolean {
    const value = this.row[name];
    if (typeof value !== "boolean") {
      throw this.complain(name, "true or false");
    }
    return value;
  }

  choice<const T extends string>(name: string, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === this.row[name]);
    if (found === undefined) {
      throw this.complain(name, `one of ${choices.join(", ")}`);
    }
    return found;
  }

  texts(name: string): string[] {
    const value = this.row[name];
    if (!Array.isArray(value) || !value.every((entry) => typeof entry === "string")) {
      throw this.complain(name, "a list of texts");
    }
    return value;
  }

  object(name: string): ConstantReader {
    const value = this.row[name];
    if (!isRow(value)) {
      throw this.complain(name, "an object");
    }
    return new ConstantReader(this.engine, value, `${this.path}.${name}`);
  }

  list(name: string): ConstantReader[] {
    const value = this.row[name];
    if (!Array.isArray(value) || !value.every(isRow)) {
      throw this.complain(name, "a list of objects");
    }
    return value.map((entry, index) => new ConstantReader(this.engine, entry, `${this.path}.${name}[${index}]`));
  }

  has(name: string): boolean {
    return this.row[name] !== undefined;
  }

  private complain(name: string, expected: string): EstimateError {
    return new EstimateError(`${this.path}.${name} of ${this.engine}'s row must be ${expected}.`, ["runtime"]);
  }
}
