import { Liquid, LiquidError, type Template } from "liquidjs";
import { NUMBER_FILTERS } from "./format.js";

/** Longest template, in characters: several pages of text. */
const TEMPLATE_LIMIT_CHARACTERS = 20_000;
/** Most text one template may produce, in characters. */
const OUTPUT_LIMIT_CHARACTERS = 200_000;
/**
 * Milliseconds by the clock that one template may take: only a loop without end takes so long. A placeholder computes
 * its estimate, or searches all hardware, when it is read, and the machine may be busy with other things.
 */
const RENDER_LIMIT_MS = 30_000;
/** Parsed templates kept: every text of a few hundred scenarios. */
const PARSED_TEMPLATES_KEPT = 2_000;

/** A scenario's text stands by itself. */
const TAGS_READING_OTHER_TEMPLATES = ["include", "render", "layout", "block"];

/** A template that cannot be used: what is wrong with it, in a sentence. */
export class TemplateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TemplateError";
  }
}

/** What a template can look up besides the figures handed to it: other models, other cards. */
export interface TemplateLookups {
  /** Estimate of another model: `{% assign other = "slug" | estimate: quant: "q4_k_m", context: 8192 %}`. */
  estimate(modelSlug: string, settings: Readonly<Record<string, unknown>>): object;
  /** Smallest set of one card that holds this scenario: `{% assign h100 = "slug" | smallest_set %}`. */
  smallestSet(gpuSlug: string): object;
}

/** Values a template can name, by their first word. Getters are read only when a template asks. */
export type TemplateScope = Readonly<Record<string, unknown>>;

/** Renders Liquid templates in which every unknown word is an error. */
export interface TemplateEngine {
  /** @throws TemplateError */
  render(template: string, scope: TemplateScope): string;
  /**
   * Checks a template without rendering it: its syntax, its filters, and that every figure in it is a placeholder.
   * @throws TemplateError
   */
  check(template: string, scope: TemplateScope): void;
}

/** A number followed by a unit, outside of placeholders: a figure that nothing would keep true. */
const FIGURE_IN_TEXT = /\d[\d.,]*\s*(?:[kmgt]i?b\b|bytes?\b|tokens?\b|%|gpus?\b|cards?\b|parameters?\b)/i;
const PLACEHOLDERS = /\{\{.*?\}\}|\{%.*?%\}/gs;

/** Builds an engine whose filters ask `lookups`. */
export function createTemplateEngine(lookups: TemplateLookups): TemplateEngine {
  const liquid = new Liquid({
    strictFilters: true,
    strictVariables: true,
    ownPropertyOnly: true,
    jsTruthy: true,
    dynamicPartials: false,
    templates: {},
    renderLimit: RENDER_LIMIT_MS,
    memoryLimit: OUTPUT_LIMIT_CHARACTERS,
  });
  for (const tag of TAGS_READING_OTHER_TEMPLATES) delete liquid.tags[tag];
  for (const [name, format] of Object.entries(NUMBER_FILTERS)) {
    liquid.registerFilter(name, (value: unknown) => {
      if (typeof value !== "number")
        throw new TemplateError(`the filter "${name}" takes a number, not ${describe(value)}`);
      return format(value);
    });
  }
  liquid.registerFilter("estimate", (slug: unknown, ...settings: [string, unknown][]) =>
    lookups.estimate(String(slug), Object.fromEntries(settings)),
  );
  liquid.registerFilter("smallest_set", (slug: unknown) => lookups.smallestSet(String(slug)));

  const parsed = new Map<string, Template[]>();
  function parse(template: string): Template[] {
    const known = parsed.get(template);
    if (known) return known;
    if (template.length > TEMPLATE_LIMIT_CHARACTERS) {
      throw new TemplateError(
        `${template.length} characters are too many; a text has at most ${TEMPLATE_LIMIT_CHARACTERS}`,
      );
    }
    const result = translateErrors(() => liquid.parse(template));
    if (parsed.size >= PARSED_TEMPLATES_KEPT) parsed.clear();
    parsed.set(template, result);
    return result;
  }

  return {
    render(template, scope) {
      return translateErrors(() => liquid.renderSync(parse(template), scope) as string).trim();
    },
    check(template, scope) {
      const figure = FIGURE_IN_TEXT.exec(template.replace(PLACEHOLDERS, " \u2026 "));
      if (figure) {
        throw new TemplateError(
          `"${figure[0]}" is written out; make it a placeholder such as {{ estimate.total | gib }}, so that it stays true`,
        );
      }
      const { globals } = translateErrors(() => liquid.analyzeSync(parse(template)));
      for (const uses of Object.values(globals)) {
        for (const use of uses) assertKnown(use.toArray(), scope);
      }
    },
  };
}

/** Follows a variable's path through the scope as far as it is made of names. */
function assertKnown(segments: readonly unknown[], scope: TemplateScope): void {
  let value: unknown = scope;
  for (const [depth, segment] of segments.entries()) {
    if (typeof segment !== "string" || value === null || typeof value !== "object" || Array.isArray(value)) return;
    if (!Object.hasOwn(value, segment)) {
      throw new TemplateError(
        `unknown placeholder "${segments.slice(0, depth + 1).join(".")}"; known here: ${Object.keys(value).join(", ")}`,
      );
    }
    value = (value as Record<string, unknown>)[segment];
  }
}

function translateErrors<Result>(action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    if (error instanceof TemplateError) throw error;
    if (LiquidError.is(error)) {
      const original = (error as { originalError?: unknown }).originalError;
      if (original instanceof TemplateError) throw original;
      throw new TemplateError(error.message);
    }
    throw error;
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a ${typeof value}`;
}
