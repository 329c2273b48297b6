import { describe, expect, it } from "vitest";
import { ConfigError } from "./config-error.js";
import { MAX_CONFIG_CHARACTERS } from "./limits.js";
import { parseConfigText } from "./parse-config-text.js";

function refusalOf(text: string): ConfigError {
  try {
    parseConfigText(text);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error("The text was accepted.");
}

describe("parseConfigText", () => {
  it("reads JSON", () => {
    expect(parseConfigText(' {"hidden_size": 4096, "list": [1, 2]}\n')).toEqual({ hidden_size: 4096, list: [1, 2] });
    expect(parseConfigText('\uFEFF{"a": 1}')).toEqual({ a: 1 });
  });

  it("reads Python's numbers as null, and leaves them alone in texts", () => {
    expect(parseConfigText('{"time_step_limit": [0.0, Infinity], "low": -Infinity, "x": NaN}')).toEqual({
      time_step_limit: [0, null],
      low: null,
      x: null,
    });
    expect(parseConfigText('{"Infinity": "NaN and \\"Infinity\\"", "y": NaN}')).toEqual({
      Infinity: 'NaN and "Infinity"',
      y: null,
    });
  });

  it.each([
    ["", "empty"],
    ["   \n", "empty"],
    ["<!DOCTYPE html><html>", "not a JSON object"],
    ["[1, 2]", "not a JSON object"],
    ["model_type: llama", "not a JSON object"],
    ['{"hidden_size": 4096, "num_hid', "cut off"],
    ['{"a": {"b": 1', "cut off"],
    ['{"a": Infinity', "cut off"],
    ['{"a": 1,}', "not valid JSON"],
    ["{'a': 1}", "not valid JSON"],
  ])("refuses %j", (text, reason) => {
    expect(refusalOf(text)).toMatchObject({ code: "INVALID", path: [] });
    expect(refusalOf(text).message).toContain(reason);
  });

  it("refuses 5 MB without reading them", () => {
    const text = `{"a": "${"x".repeat(5_000_000)}"}`;
    expect(refusalOf(text).message).toContain(String(MAX_CONFIG_CHARACTERS));
  });

  it("takes time in proportion to the text, whatever is in it", () => {
    for (const text of [
      `{"${'\\"'.repeat(1_000_000)}NaN`,
      `{${"Infinity".repeat(200_000)}`,
      "[".repeat(10),
      `{${"[".repeat(500_000)}NaN`,
    ]) {
      const start = performance.now();
      expect(refusalOf(text)).toBeInstanceOf(ConfigError);
      expect(performance.now() - start).toBeLessThan(10_000);
    }
  });
});
