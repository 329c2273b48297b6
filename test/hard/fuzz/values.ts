import {
  type GraphQLInputType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isRequiredInputField,
} from "graphql";
import type { Random } from "./random.js";

/** A word that is written without quotes: an enum's value in a document, a string in JSON. */
export class Word {
  constructor(readonly name: string) {}
}

/** Text that stands in a document and in JSON as it is, such as `1e400`. */
export class Raw {
  constructor(readonly text: string) {}
}

/** What values are taken from. */
export interface Pools {
  /** Slugs of the catalogue by entity in the singular: `model`, `gpu`. */
  slugs: Readonly<Record<string, readonly string[]>>;
  /** Global ids by the same names. */
  ids: Readonly<Record<string, readonly string[]>>;
  /** Free JSON as the server takes it somewhere: rows, configs, schemes. */
  json: readonly unknown[];
}

export interface ValueOptions {
  random: Random;
  pools: Pools;
  /** Share of values that are odd, 0 to 1. */
  oddness: number;
}

/** Names that mean something to JavaScript's objects. */
export const PROTOTYPE_NAMES = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"];

const LONG = 20_000;
const DEEP = 150;

export const ODD_TEXTS = [
  "",
  " ",
  ...PROTOTYPE_NAMES,
  "null",
  "undefined",
  "NaN",
  "-0",
  "../../etc/passwd",
  '\'; DROP TABLE "Gpu"; --',
  "%s%n%00",
  "{{ 7 | times: 6 }}{% for i in (1..100000) %}x{% endfor %}",
  "$(id)`id`$7*7",
  "a\0b",
  "\ud83d",
  "\udc00\ud800",
  "\ufeffq4_k_m",
  "\u202emodel",
  "👩‍👩‍👧",
  "é".normalize("NFD").repeat(50),
  "\u0301".repeat(500),
  "ﬀİıſ",
  "\r\n\t\v",
  "x".repeat(LONG),
  "*".repeat(LONG),
  "(a+)+$",
  "2024-13-45",
  "0000-00",
  "9".repeat(400),
  "1e400",
  "data:text/html,<script>",
  "https://[::1",
  "file:///etc/passwd",
];

const ODD_NUMBERS = [
  0,
  -1,
  0.5,
  -0.1,
  1e-320,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  2 ** 53 - 1,
  2 ** 53,
  1e21,
  1e300,
  -1e308,
];
const RAW_NUMBERS = ["1e400", "-0", "-0.0", `1${"0".repeat(1_000)}`, "0.1e-1000", "1E+2"];

const nest = (depth: number, wrap: (inner: unknown) => unknown) => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = wrap(value);
  return value;
};

/** A value of a type, or an odd one; `hints` are the names that lead to it, outermost first. */
export function drawValue(options: ValueOptions, type: GraphQLInputType, hints: readonly string[], depth = 0): unknown {
  const { random, oddness } = options;
  if (random.chance(oddness)) return drawOdd(options);
  if (isNonNullType(type)) return drawValue({ ...options }, type.ofType, hints, depth);
  if (isListType(type)) {
    const length = random.pick([0, 1, 1, 2, 3]);
    return Array.from({ length }, () => drawValue(options, type.ofType, hints, depth + 1));
  }
  if (isEnumType(type)) return new Word(random.pick(type.getValues()).name);
  if (isInputObjectType(type)) {
    const fields = Object.values(type.getFields());
    const share = 0.4 / (depth + 1);
    const chosen = type.isOneOf
      ? [random.pick(fields)]
      : fields.filter((field) => isRequiredInputField(field) || random.chance(share));
    const value = Object.fromEntries(
      chosen.map((field) => [field.name, drawValue(options, field.type, [...hints, field.name], depth + 1)]),
    );
    if (random.chance(oddness)) value[random.pick(PROTOTYPE_NAMES)] = drawOdd(options);
    return value;
  }
  return drawScalar(options, type.name, hints);
}

function drawScalar({ random, pools, oddness }: ValueOptions, type: string, hints: readonly string[]): unknown {
  const name = hints.at(-1) ?? "";
  switch (type) {
    case "Boolean":
      return random.chance(0.5);
    case "Int":
    case "SafeInt":
      if (name === "first" || name === "last") return random.pick([0, 1, 1, 2, 3, 5]);
      if (/version/i.test(name)) return random.pick([1, 1, 1, 2, 3]);
      return random.pick([0, 1, 1, 2, 4, 8, 24, 512, 2_048, 8_192, 131_072]);
    case "Float":
      return random.pick([0, 0.5, 0.9, 1, 2.5, 24, 80, 1_000]);
    case "DateTime":
      return random.pick(["2026-03-01T12:00:00Z", "1970-01-01T00:00:00+14:00", "2099-12-31T23:59:59.999Z"]);
    case "JSON":
      return mutate(random, structuredClone(random.pick(pools.json)), oddness);
    case "ID":
      return random.pick(poolOf(pools.ids, hints));
    default:
      if (/url/i.test(name)) return "https://example.org/facts";
      if (/on$|date|asof/i.test(name)) return random.pick(["2024-12", "2026-01-31", "2025"]);
      if (/slug/i.test(name) && /^create/.test(hints[0] ?? "")) return `drawn-${random.below(200)}`;
      if (/search|name|title|comment|notes|summary|vendor|family/i.test(name)) {
        return random.pick(["llama", "qwen 7b", "nvidia", "RTX", "Q4_K_M", "made up"]);
      }
      return random.pick(poolOf(pools.slugs, hints));
  }
}

/** The values of the entity that the innermost hint speaks of; those of all if none does. */
function poolOf(pools: Readonly<Record<string, readonly string[]>>, hints: readonly string[]): readonly string[] {
  const entities = Object.keys(pools).sort((a, b) => b.length - a.length);
  for (const hint of [...hints].reverse()) {
    const found = entities.find((entity) => hint.toLowerCase().includes(entity.toLowerCase()));
    const pool = found === undefined ? [] : (pools[found] ?? []);
    if (pool.length > 0) return pool;
  }
  return Object.values(pools).flat();
}

/** Something that may be of any type. */
export function drawOdd({ random, pools }: Pick<ValueOptions, "random" | "pools">): unknown {
  switch (random.below(9)) {
    case 0:
    case 1:
      return random.pick(ODD_TEXTS);
    case 2:
      return random.pick(ODD_NUMBERS);
    case 3:
      return new Raw(random.pick(RAW_NUMBERS));
    case 4:
      return null;
    case 5:
      return random.pick<unknown>([[], {}, [[]], [null], true, new Word("NO_SUCH_WORD"), [{ a: [] }]]);
    case 6:
      return Object.fromEntries(PROTOTYPE_NAMES.map((name) => [name, random.pick(ODD_NUMBERS)]));
    case 7:
      return nest(random.pick([3, DEEP]), random.chance(0.5) ? (inner) => [inner] : (a) => ({ a }));
    default:
      return mutate(random, structuredClone(random.pick(pools.json)), 0.05);
  }
}

/** Free JSON in which a share of what it has is replaced, renamed or left out. */
function mutate(random: Random, value: unknown, share: number): unknown {
  if (share === 0) return value;
  if (random.chance(share / 4)) {
    return random.pick<unknown>([
      null,
      "",
      -1,
      0,
      0.5,
      1e308,
      2 ** 40,
      true,
      [],
      {},
      "constructor",
      "a\0b",
      [null],
      "x",
    ]);
  }
  if (Array.isArray(value)) {
    const kept = value.filter(() => !random.chance(share / 8));
    return kept.map((item) => mutate(random, item, share));
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, item]): [string, unknown][] => {
    if (random.chance(share / 8)) return [];
    const name = random.chance(share / 16) ? random.pick(PROTOTYPE_NAMES) : key;
    return [[name, mutate(random, item, share)]];
  });
  return Object.fromEntries(entries);
}

/** A value as JSON; lone surrogates are escaped, as JSON may have them. */
export function toJson(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (value instanceof Word) return JSON.stringify(value.name);
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${toJson(item)}`)
    .join(",")}}`;
}

const NAME = /^[_A-Za-z]\w*$/;

/** A value as it stands in a document; keys that cannot stand there are left out. */
export function toLiteral(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (value instanceof Word) return value.name;
  if (Array.isArray(value)) return `[${value.map(toLiteral).join(" ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  return `{${Object.entries(value)
    .filter(([key]) => NAME.test(key))
    .map(([key, item]) => `${key}: ${toLiteral(item)}`)
    .join(" ")}}`;
}
