import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { describeAsGguf } from "../../../../test/fixtures/gguf-header.js";
import type { Architecture } from "../architecture.js";
import { ConfigError } from "../config-error.js";
import { architectureFromGguf, compareTensors } from "./from-gguf.js";

interface Row {
  slug: string;
  architecture: Architecture;
}

const models = JSON.parse(readFileSync(new URL("../../../../seed/models.json", import.meta.url), "utf8")) as Row[];

/** What tensors and caches follow from, layer by layer. */
const layersOf = ({ layers, blocks }: Architecture) => layers.map((layer) => blocks[layer]);

describe("architectureFromGguf", () => {
  it("gives the catalogue's models back, layer by layer, and refuses the others", () => {
    const refused: string[] = [];
    let read = 0;
    for (const { slug, architecture } of models) {
      if (architecture.ggufArchitecture === null) continue;
      let found: Architecture;
      try {
        found = architectureFromGguf(describeAsGguf(architecture));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        expect(`${slug}: ${error.code}`).toBe(`${slug}: NOT_MODELLED`);
        refused.push(architecture.ggufArchitecture);
        continue;
      }
      read += 1;
      const wanted = { ...architecture, layers: layersOf(architecture) };
      expect({ slug, layers: layersOf(found), tied: found.tiedEmbeddings, context: found.contextLength }).toEqual({
        slug,
        layers: wanted.layers,
        tied: architecture.tiedEmbeddings,
        context: architecture.contextLength,
      });
    }
    expect(read).toBeGreaterThan(MOST_OF_THEM);
    expect(refused).not.toContain("llama");
  });
});

/** Of the 416 models of the catalogue that llama.cpp loads. */
const MOST_OF_THEM = 350;

describe("compareTensors", () => {
  it("tells tensors that are missing, unexpected or of another shape", () => {
    const architecture = models.find(({ slug }) => slug === "llama-3.1-8b-instruct")?.architecture as Architecture;
    const { tensors } = describeAsGguf(architecture);
    expect(compareTensors(architecture, tensors)).toEqual([]);
    const [first, ...rest] = tensors;
    const changed = [
      { name: "new.weight", shape: [1], type: null },
      ...rest.slice(1),
      { ...first, name: first?.name ?? "", shape: [7], type: null },
    ];
    expect(compareTensors(architecture, changed)).toEqual([
      "new.weight is not expected",
      `${first?.name} is 7, not ${first?.shape.join(" x ")}`,
      `${rest[0]?.name} is missing`,
    ]);
  });
});
