import { describe, expect, it } from "vitest";
import type { ScenarioRow } from "../src/data/rows.js";
import { prepareSeed, toCatalogue } from "../src/services/seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../src/services/seeding/read-seed.js";
import { servicesFor } from "../src/services/services.js";

const { texts } = await readSeedFiles(SEED_FOLDER);
const catalogue = toCatalogue(prepareSeed(texts));
const { scenarios: service } = servicesFor(catalogue);
const scenarios = catalogue.scenarios.rows;

function textsOf(scenario: ScenarioRow): string[] {
  const { answer, explanation, verdict, faq } = service.render(scenario);
  return [answer, explanation, verdict, ...faq.flatMap((entry) => [entry.question, entry.answer])];
}

function modelOf(scenario: ScenarioRow) {
  const model = catalogue.models.byId.get(scenario.modelId);
  if (!model) throw new Error(`${scenario.slug} has no model`);
  return model;
}

/** What a text shows when a figure is missing, a placeholder was left, or a plural went wrong. */
const UNFINISHED = /\b(?:NaN|null|undefined|Infinity)\b|\{\{|\{%|\b1 x |\bnot a number\b/;

/** No size, no count and no share of a scenario is nothing. */
const EMPTY_FIGURE = /(?<![\d.,])0(?:\.00)? (?:[KMG]i?B|bytes|tokens|layers)\b/;

describe("scenarios", () => {
  it("are 40 or more, of 15 families or more", () => {
    expect(scenarios.length).toBeGreaterThanOrEqual(40);
    expect(new Set(scenarios.map((scenario) => modelOf(scenario).family)).size).toBeGreaterThanOrEqual(15);
  });

  it("cover every kind of attention that a question can turn on", () => {
    const kinds = new Set(scenarios.map((scenario) => modelOf(scenario).attention));
    for (const kind of ["MULTI_HEAD", "GROUPED_QUERY", "LATENT", "SLIDING_WINDOW", "HYBRID"]) {
      expect(kinds).toContain(kind);
    }
  });

  it("ask each question once and answer none with another's text", () => {
    const distinct = (values: readonly string[]) => new Set(values).size;
    expect(distinct(scenarios.map(({ title }) => title))).toBe(scenarios.length);
    expect(distinct(scenarios.map(({ question }) => question))).toBe(scenarios.length);
    expect(distinct(scenarios.map(({ explanation }) => explanation))).toBe(scenarios.length);
    expect(distinct(scenarios.map(({ verdict }) => verdict))).toBe(scenarios.length);
  });

  describe.each(scenarios.map((scenario) => [scenario.slug, scenario] as const))("%s", (_, scenario) => {
    it("can be saved", () => expect(service.check(scenario)).toEqual([]));

    it("reads as finished text", () => {
      for (const text of textsOf(scenario)) {
        expect(text).not.toMatch(UNFINISHED);
        expect(text).not.toMatch(EMPTY_FIGURE);
        expect(text).not.toMatch(/ {2}|\s[.,;:](?:\s|$)|\.\.|,,/);
        expect(text).toMatch(/[.?!]$/);
      }
    });

    it("answers two to six further questions and names its sources", () => {
      expect(scenario.faq.length).toBeGreaterThanOrEqual(2);
      expect(scenario.faq.length).toBeLessThanOrEqual(6);
      expect(scenario.question).toMatch(/\?$/);
      expect(scenario.sources.length).toBeGreaterThan(0);
      for (const { url } of scenario.sources) expect(url).toMatch(/^https:\/\//);
    });
  });
});

describe("deepseek-v3-671b-q4-k-m-128k", () => {
  const scenario = catalogue.scenarios.bySlug.get("deepseek-v3-671b-q4-k-m-128k");
  const text = scenario ? textsOf(scenario).join("\n") : "";

  // File size of the published conversion and the cache that llama.cpp prints for 131,072 tokens.
  it.each([
    ["the file in GiB", "376.71 GiB"],
    ["the file in GB", "404.49 GB"],
    ["the cache in GiB", "8.58 GiB"],
    ["the cache in GB", "9.21 GB"],
    ["the cache per token", "70,272 bytes per token"],
    ["what 576 counts", "576 values x 61 layers x 2 bytes"],
    ["the experts that must be resident", "All 256 experts"],
    ["parameters in all", "671.0B"],
    ["the set of H100 that holds it", "6 x NVIDIA H100 SXM5 80GB"],
    ["the set of MI300X that holds it", "3 x AMD Instinct MI300X 192GB"],
  ])("states %s", (_, figure) => expect(text).toContain(figure));

  it("never says that 576 are bytes", () => expect(text).not.toMatch(/576 bytes/));
});
