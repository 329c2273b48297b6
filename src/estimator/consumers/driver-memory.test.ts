import { describe, expect, it } from "vitest";
import { cudaReserveBytes } from "./driver-memory.js";

const MIB = 2 ** 20;

describe("cudaReserveBytes", () => {
  it.each([
    // Multiprocessors and MiB: llama.cpp pull requests 23604 and 15860, InvokeAI issue 9413, a public log of a B300.
    ["RTX 4060 Ti", 34, 107],
    ["RTX PRO 6000 Blackwell", 188, 555],
    ["RTX 4090", 128, 456],
    ["RTX 3090", 82, 256],
    ["B300", 148, 618],
  ])("covers the context measured on %s", (_card, multiprocessors, mib) => {
    expect(cudaReserveBytes(multiprocessors) / MIB).toBeGreaterThanOrEqual(mib);
    expect(cudaReserveBytes(multiprocessors) / MIB).toBeLessThan(1.5 * mib);
  });

  it("keeps no less than the smallest context measured on a smaller card, and refuses no card at all", () => {
    expect(cudaReserveBytes(10)).toBe(cudaReserveBytes(34));
    expect(() => cudaReserveBytes(0)).toThrow("multiprocessors");
    expect(() => cudaReserveBytes(Number.NaN)).toThrow("multiprocessors");
  });
});
