import { describe, expect, it } from "vitest";
import { createTable } from "../../data/catalogue.js";
import { BadUserInputError } from "../../errors.js";
import { requireBySlug, suggestSlugs } from "./suggestions.js";

const row = (slug: string, archivedAt: Date | null = null) => ({ id: slug, slug, archivedAt });
const table = createTable([
  row("q4_k_m"),
  row("q4_k_s"),
  row("q8_0"),
  row("deepseek-v3"),
  row("deepseek-v3.1"),
  row("q4_k_old", new Date(0)),
]);

describe("suggestSlugs", () => {
  it("names the nearest first", () => {
    expect(suggestSlugs(table, "q4_k_n")[0]).toMatch(/^q4_k_[ms]$/);
    expect(suggestSlugs(table, "q4km")[0]).toBe("q4_k_m");
    expect(suggestSlugs(table, "DeepSeek V3")[0]).toBe("deepseek-v3");
  });

  it("leaves archived rows out, and says nothing where nothing is near", () => {
    expect(suggestSlugs(table, "q4_k_old")).not.toContain("q4_k_old");
    expect(suggestSlugs(table, "%%%%%%%%%%%%%%%%%%%%%%")).toEqual([]);
  });
});

describe("requireBySlug", () => {
  it("gives the row, archived or not", () => {
    expect(requireBySlug(table, "q4_k_old", [], "format").slug).toBe("q4_k_old");
  });

  it.each(["constructor", "__proto__", "toString", ""])("does not take %j for a slug", (slug) => {
    expect(() => requireBySlug(table, slug, ["input", "quant"], "format")).toThrowError(BadUserInputError);
  });

  it("names the argument and the nearest slugs, and does not repeat a whole book", () => {
    const failure = (slug: string) => {
      try {
        requireBySlug(table, slug, ["input", "quant"], "quantization format");
      } catch (error) {
        if (error instanceof BadUserInputError) return error;
      }
      throw new Error("nothing was thrown");
    };
    expect(failure("q4km")).toMatchObject({
      argument: ["input", "quant"],
      suggestions: expect.arrayContaining(["q4_k_m"]),
      extensions: { code: "BAD_USER_INPUT", argument: ["input", "quant"] },
    });
    expect(failure("q4km").message).toContain('There is no quantization format "q4km". Nearest: q4_k_m');
    expect(failure("x".repeat(100_000)).message.length).toBeLessThan(300);
  });
});
