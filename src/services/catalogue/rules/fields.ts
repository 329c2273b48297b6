import { z } from "zod";

/**
 * Parts that the rules of several entities are made of. Every rule's message is a sentence's end that follows the
 * field's name: "must be ...".
 */

const MAX_SLUG_LENGTH = 120;
const MAX_NAME_LENGTH = 200;
const MAX_TEXT_LENGTH = 4_000;
const MAX_SOURCES = 50;
const MAX_URL_LENGTH = 2_000;
/** The largest value of PostgreSQL's integer. */
const MAX_INT32 = 2 ** 31 - 1;

export const slug = z
  .string()
  .max(MAX_SLUG_LENGTH, `must have at most ${MAX_SLUG_LENGTH} characters`)
  .regex(/^[a-z0-9]+([._-][a-z0-9]+)*$/, 'must be lower-case letters and digits, joined by single ".", "_" or "-"');

/** The slug of a row of another entity; whether it exists is checked where the other rows are known. */
export const reference = z.string().min(1, "must be the slug of a row").max(MAX_SLUG_LENGTH);

const trimmed = (maxLength: number) =>
  z
    .string()
    .max(maxLength, `must have at most ${maxLength} characters`)
    .refine((text) => text === text.trim(), "must not begin or end with a space");

/** A letter, digit, mark or sign; a zero-width space, or what only turns the direction of writing, is none. */
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/** One line of text. */
export const name = trimmed(MAX_NAME_LENGTH)
  .min(1, "must not be empty")
  .regex(/^[^\p{Cc}]*$/u, "must be one line without control characters")
  .refine((line) => line === "" || VISIBLE.test(line), "must have something in it that can be seen");

/** Text of several sentences. */
export const text = trimmed(MAX_TEXT_LENGTH).min(1, "must not be empty");

/** A column that may be absent or null; null either way. */
export function maybe<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullable().default(null);
}

/** A whole number; one that is missing is told apart from one that is wrong. */
function int(message: string) {
  return z.int({ error: ({ input }) => (input === undefined ? undefined : message) });
}

export const positive = z.number().positive("must be greater than 0");
export const notNegative = z.number().min(0, "must not be negative");
/** A size of memory in GiB, at most `most`: larger ones are slips of the unit, and their bytes no exact numbers. */
export const memoryGib = (most: number) => positive.max(most, `must be at most ${most} GiB`);
export const positiveInt = int("must be a whole number")
  .min(1, "must be at least 1")
  .max(MAX_INT32, `must be at most ${MAX_INT32}`);
export const notNegativeInt = int("must be a whole number")
  .min(0, "must not be negative")
  .max(MAX_INT32, `must be at most ${MAX_INT32}`);
/** A count or a size in bytes that may exceed 32 bits, up to 2^53 - 1. */
export const positiveSafeInt = int("must be a whole number below 2^53").min(1, "must be at least 1");

/** A day, month or year: "2024-12-26", "2024-12", "2024". */
export const date = z
  .string()
  .regex(/^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/, {
    error: 'must be a date such as "2024-12-26", "2024-12" or "2024"',
    abort: true,
  })
  .refine(isInCalendar, "must be a day of the calendar");

/** Whether a date is one: the 31st of a month with 30 days is read as the first of the next, or not at all. */
function isInCalendar(value: string): boolean {
  const moment = new Date(value);
  return !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(value);
}

const httpsUrl = z
  .string()
  .max(MAX_URL_LENGTH, `must have at most ${MAX_URL_LENGTH} characters`)
  .refine(isHttpsUrl, 'must be an address that begins with "https://"');

function isHttpsUrl(value: string): boolean {
  return /^https:\/\/[^\s]+$/.test(value) && URL.canParse(value);
}

/** Where a row's facts come from; at least one. */
export const sources = z
  .array(z.strictObject({ title: text, url: z.exactOptional(httpsUrl) }))
  .min(1, "must name at least one source")
  .max(MAX_SOURCES, `must name at most ${MAX_SOURCES} sources`);

/** A JSON object whose content is the source's own. */
export const jsonObject = z.record(z.string(), z.json());

/** Slugs of runtimes, each once; at least one. */
export const runtimeSlugs = z
  .array(reference)
  .min(1, "must name at least one runtime")
  .refine((slugs) => new Set(slugs).size === slugs.length, "must not name a runtime twice");
