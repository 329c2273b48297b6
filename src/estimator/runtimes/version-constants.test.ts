import { describe, expect, it } from "vitest";
import { catalogue } from "../../../test/fixtures/local-runtimes/catalogue.js";
import { EstimateError } from "../estimate-error.js";
import { readExllamaConstants } from "./exllama/read-exllama-constants.js";
import { readMlxConstants } from "./mlx/read-mlx-constants.js";
import { readTransformersConstants } from "./transformers/read-transformers-constants.js";
import { readConstants } from "./version-constants.js";

const ENGINE = { name: "Engine", packages: ["engine", "engine-lm"] };
const ROW = {
  version: "3",
  a: 3,
  group: { b: 3, c: 3 },
  versions: { "2.10": {}, "1.0": { a: 1, group: { b: 1 } }, "2.0": { a: 2 } },
};

const refusal = (work: () => unknown): EstimateError => {
  try {
    work();
  } catch (error) {
    if (error instanceof EstimateError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

describe("constants of a version", () => {
  it.each([
    [undefined, 3, 3],
    ["3", 3, 3],
    ["3.7.1", 3, 3],
    ["2.10", 3, 3],
    ["2.9.7", 2, 3],
    ["v2.0rc1", 2, 3],
    ["engine-lm 2.9", 2, 3],
    ["Engine v1.4", 1, 1],
    ["1", 1, 1],
  ])("%s", (version, a, b) => {
    const row = readConstants(ENGINE, ROW, version);
    expect(row.number("a")).toBe(a);
    expect(row.object("group").number("b")).toBe(b);
    expect(row.object("group").number("c")).toBe(3);
  });

  it.each(["0.9", "4", "4.0.1", "nightly", "other 2.0", "engine", ""])("%o is refused with those known", (version) => {
    const { message, path } = refusal(() => readConstants(ENGINE, ROW, version));
    expect(path).toEqual(["runtime", "version"]);
    expect(message).toContain("from 1.0 on: 1.0, 2.0, 2.10, 3.");
  });

  it("a row without versions knows none", () => {
    expect(refusal(() => readConstants(ENGINE, { a: 1 }, "1.0")).message).toContain("none");
    expect(refusal(() => readConstants(ENGINE, { version: "2", versions: [] }, "1.0")).message).toContain("versions");
  });

  it("versions before the row's own in the catalogue", () => {
    const transformers = (version?: string) => readTransformersConstants(catalogue.constants("transformers"), version);
    expect(transformers("5.23.0")).toEqual(transformers());
    expect(transformers("transformers 4.57.1")).toEqual({ ...transformers(), experts: "LOOP" });
    expect(transformers("4.35.2")).toMatchObject({ logits: "ALL", cacheCopy: "WHOLE", windowedLayers: "ALL" });
    expect(refusal(() => transformers("3.5")).message).toContain("4.0, 4.36, 4.45, 4.56, 5");
    const mlx = (version?: string) => readMlxConstants(catalogue.constants("mlx"), version);
    expect(mlx("mlx-lm 0.31.3")).toEqual(mlx());
    expect(mlx("0.29.1").latentCache).toBe("EXPANDED");
    expect(refusal(() => mlx("another-server 0.7")).path).toEqual(["runtime", "version"]);
    const exllama = (version?: string) => readExllamaConstants(catalogue.constants("exllama"), version);
    expect(exllama("exllamav3 0.0.3")).toEqual(exllama());
  });
});

describe("a constant of the wrong kind is named", () => {
  const row = readConstants(ENGINE, { group: { n: -1 }, list: [{ n: "x" }], none: null });
  it.each([
    ["constants.group.n", () => row.object("group").number("n")],
    ["constants.list[0].n", () => row.list("list")[0]?.count("n")],
    ["constants.share of Engine's row is missing", () => row.share("share")],
    ["constants.none", () => row.object("none")],
    ["constants.group", () => row.texts("group")],
    ["constants.list", () => row.counts("list")],
    ["constants.none", () => row.flag("none")],
    ["constants.none of Engine's row is null; it must be one of a, b", () => row.choice("none", ["a", "b"])],
  ])("%s", (name, read) => {
    const { message, path } = refusal(read);
    expect(message).toContain(name);
    expect(path).toEqual(["runtime"]);
  });
});
