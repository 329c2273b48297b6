import { describe, expect, it } from "vitest";
import { NUMBER_FILTERS } from "./format.js";

describe("figures in a text", () => {
  it.each([
    ["gib", 404_490_000_000, "376.71 GiB"],
    ["gb", 404_490_000_000, "404.49 GB"],
    ["mib", 9_210_691_584, "8,784 MiB"],
    ["count", 131_072, "131,072"],
    ["tokens", 131_072, "128K"],
    ["tokens", 10_000, "10,000"],
    ["parameters", 671_026_419_200, "671.0B"],
    ["parameters", 1_026_408_232_448, "1.03T"],
    ["percent", 0.0551, "5.5%"],
    ["ratio", 2.874, "2.9"],
    ["decimal", 4.8225, "4.82"],
  ])("%s writes %d as %s", (filter, value, text) => expect(NUMBER_FILTERS[filter]?.(value)).toBe(text));
});
