import { describe, expect, it } from "vitest";
import { createTemplateEngine, TemplateError } from "./templates.js";

const engine = createTemplateEngine({
  estimate: (slug, settings) => ({ total: 5 * 2 ** 30, asked: `${slug} ${JSON.stringify(settings)}` }),
  smallestSet: (slug) => ({ name: slug, count: 6 }),
});

let reads = 0;
const scope = {
  context: 131_072,
  estimate: {
    total: 404_490_000_000,
    share: 0.0551,
    get expensive() {
      reads += 1;
      return 1;
    },
  },
  hardware: [
    { name: "A", count: 1, system: null },
    { name: "B", count: 2, system: "box" },
  ],
};

function refusal(template: string): string {
  try {
    engine.check(template, scope);
    engine.render(template, scope);
  } catch (error) {
    if (error instanceof TemplateError) return error.message;
    throw error;
  }
  return "not refused";
}

describe("a scenario's template", () => {
  it("writes sizes in both units, counts grouped, shares as percentages", () => {
    expect(engine.render("{{ estimate.total | gib }} = {{ estimate.total | gb }}", scope)).toBe(
      "376.71 GiB = 404.49 GB",
    );
    expect(engine.render("{{ context | count }} {{ context | tokens }} {{ 10000 | tokens }}", scope)).toBe(
      "131,072 128K 10,000",
    );
    expect(engine.render("{{ estimate.share | percent }} of {{ 671026419200 | parameters }}", scope)).toBe(
      "5.5% of 671.0B",
    );
    expect(engine.render("{{ 1026408232448 | parameters }} {{ 9210691584 | mib }}", scope)).toBe("1.03T 8,784 MiB");
  });

  it("asks for other models and for sets of cards with the settings it names", () => {
    const template = '{% assign d = "r1" | estimate: quant: "q8_0", context: 8192 %}{{ d.total | gib }} {{ d.asked }}';
    expect(engine.render(template, scope)).toBe('5.00 GiB r1 {"quant":"q8_0","context":8192}');
    expect(engine.render('{% assign h = "h100" | smallest_set %}{{ h.count }} x {{ h.name }}', scope)).toBe("6 x h100");
  });

  it("goes through lists", () => {
    const template = "{% for set in hardware %}{{ set.count }} x {{ set.name }};{% endfor %}";
    expect(engine.render(template, scope)).toBe("1 x A;2 x B;");
  });

  it("reads no figure that it does not name", () => {
    reads = 0;
    engine.render("{{ estimate.total | gib }}", scope);
    expect(reads).toBe(0);
    engine.render("{{ estimate.expensive }}", scope);
    expect(reads).toBe(1);
  });

  it.each([
    ["{{ estimate.nope }}", /unknown placeholder "estimate.nope"; known here: total/],
    ["{{ nope }}", /unknown placeholder "nope"; known here: context/],
    ["{% if false %}{{ estimate.nope }}{% endif %}", /unknown placeholder "estimate.nope"/],
    ['{% assign h = "h100" | smallest_set %}{{ h.nope }}', /undefined variable: h.nope/],
    ["{{ estimate.total | gigs }}", /undefined filter: gigs/],
    ["{{ estimate.total", /not closed/],
    ["{% for %}", /illegal/],
    ["{{ 'many' | gib }}", /the filter "gib" takes a number, not a string/],
    ["{{ estimate | gib }}", /takes a number, not a object/],
  ])("refuses %s", (template, reason) => {
    expect(refusal(template)).toMatch(reason);
  });

  it.each(["takes 404 GB", "about 1,024 MiB of it", "5% more", "for 8192 tokens", "on 6 GPUs"])(
    "refuses a figure that is written out: %s",
    (template) => {
      expect(refusal(template)).toMatch(/is written out/);
    },
  );

  it("lets names with digits stand", () => {
    expect(refusal("DeepSeek-R1 at Q4_K_M on an H100 80GB card of the GB200 kind")).toMatch(/written out/);
    expect(refusal("DeepSeek-R1 at Q4_K_M on an H100 of the GB200 kind")).toBe("not refused");
  });

  it.each([
    "{{ constructor }}",
    "{{ estimate.__proto__ }}",
    "{{ estimate.constructor }}",
    "{{ hardware.constructor }}",
  ])("does not reach JavaScript's own properties: %s", (template) => {
    expect(refusal(template)).toMatch(/unknown placeholder|undefined variable/);
  });

  it("is bounded in what it may produce and how long it may be", () => {
    expect(refusal("{% for i in (1..100000000) %}{{ i }}{% endfor %}")).toMatch(/limit exceeded/);
    expect(refusal("a".repeat(20_001))).toMatch(/20001 characters are too many/);
  });

  it.each(["{% include 'x' %}", "{% render 'x' %}", "{% layout 'x' %}"])("reads no other file: %s", (template) => {
    expect(refusal(template)).toMatch(/tag "\w+" not found/);
  });
});
