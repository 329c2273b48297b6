import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { smallCatalogue } from "./setup/small-catalogue.js";
import { startServer, type TestServer } from "./setup/start-server.js";

let server: TestServer;
beforeAll(async () => {
  server = await startServer(smallCatalogue);
});
afterAll(() => server.stop());

/** Slugs of a list with these arguments, written as GraphQL. */
async function slugs(list: string, args = ""): Promise<string[]> {
  const { data, errors } = await server.query(`{ ${list}${args && `(${args})`} { nodes { slug } } }`);
  expect(errors).toBeUndefined();
  return data[list].nodes.map((node: { slug: string }) => node.slug);
}

describe("lists", () => {
  it("are by slug, without archived rows, unless asked otherwise", async () => {
    const all = await slugs("models");
    expect(all).toEqual(all.toSorted());
    expect(all).not.toContain("retired-1b");
    expect(await slugs("models", "filter: { includeArchived: true }")).toContain("retired-1b");
  });

  it.each([
    ["models", `filter: { search: "llama3 70b" }`, ["llama-3-70b", "llama-3.1-70b"]],
    ["models", `filter: { family: "LLAMA", parameters: { lte: 10000000000 } }`, ["llama-3.1-8b"]],
    ["models", `filter: { attention: LATENT }`, ["deepseek-v3"]],
    ["models", `filter: { vendor: ["deepseek", "alibaba"] }`, ["deepseek-v3", "qwen3-30b-a3b"]],
    ["models", `filter: { experts: { gte: 1 }, contextLength: { gte: 100000 } }`, ["deepseek-v3"]],
    ["models", `filter: { releasedOn: { gte: "2024-07", lte: "2024-11" } }`, ["llama-3.1-70b", "llama-3.1-8b"]],
    ["models", `filter: { search: "deepseek-ai" }`, ["deepseek-v3"]],
    ["models", `filter: { family: [] }`, []],
    ["gpus", `filter: { memoryGib: { gte: 48, lte: 100 } }`, ["nvidia-h100-80gb-sxm"]],
    ["gpus", `filter: { usableMemoryGib: { gte: 0 } }`, ["nvidia-h100-80gb-sxm", "nvidia-rtx-3090-24gb"]],
    ["gpus", `filter: { vendor: "amd", form: OAM }`, ["amd-mi300x-192gb"]],
    ["gpus", `filter: { supportsFp8: true }`, ["nvidia-h100-80gb-sxm"]],
    ["gpus", `filter: { class: DATACENTER, bandwidth: { gte: 4000 } }`, ["amd-mi300x-192gb"]],
    ["gpus", `filter: { search: "rtx3090" }`, ["nvidia-rtx-3090-24gb"]],
    ["systems", `filter: { gpu: "nvidia-h100-80gb-sxm", memoryGib: { gte: 100 } }`, ["cloudy-8x-h100"]],
    ["systems", `filter: { usdPerHour: { lte: 5 } }`, ["cloudy-1x-h100"]],
    ["systems", `filter: { search: "geforce box" }`, ["box-2x-3090"]],
    ["systems", `filter: { kind: BOX }`, ["box-2x-3090"]],
    ["quantFormats", `filter: { family: GGUF, bitsPerWeight: { lte: 5 } }`, ["q4_k_m"]],
    ["quantFormats", `filter: { runtime: "rule-of-thumb" }`, ["bf16"]],
    ["kvCacheTypes", `filter: { bitsPerValue: { lte: 9 } }`, ["kv-q8_0"]],
    ["runtimes", `filter: { search: "LLAMA" }`, ["llama-cpp"]],
    ["scenarios", `filter: { family: "deepseek" }`, ["deepseek-v3-q4-k-m-128k"]],
    ["scenarios", `filter: { model: "llama-3.1-8b", context: { lte: 8192 } }`, ["llama-3.1-8b-q4-k-m-8k"]],
    ["measurements", `filter: { kind: LLAMA_CPP_MEMORY, gpu: "nvidia-h100-80gb-sxm" }`, ["measured-1"]],
    ["measurements", `filter: { kind: SPEED }`, []],
  ])("%s(%s)", async (list, args, expected) => {
    expect(await slugs(list, args)).toEqual(expected);
  });

  it("sort by several keys, rows without a value last in both directions", async () => {
    const sorted = async (direction: string) => {
      const { data } = await server.query(
        `{ gpus(first: 100, sort: [{ field: BANDWIDTH, direction: ${direction} }, { field: NAME }]) { nodes { name bandwidth } } }`,
      );
      return data.gpus.nodes.map((gpu: { bandwidth: number | null }) => gpu.bandwidth);
    };
    const ascending = await sorted("ASC");
    const known = ascending.filter((value: number | null) => value !== null);
    expect(known).toEqual(known.toSorted((a: number, b: number) => a - b));
    expect(ascending.slice(known.length).every((value: number | null) => value === null)).toBe(true);
    expect(await sorted("DESC")).toEqual([...known.toReversed(), ...ascending.slice(known.length)]);
  });

  it("are paged by cursors through HTTP", async () => {
    const seen: string[] = [];
    let after: string | null = null;
    do {
      const { data } = await server.query(
        `query ($after: String) { gpus(first: 9, after: $after, sort: [{ field: MEMORY, direction: DESC }]) {
          totalCount nodes { slug } pageInfo { hasNextPage endCursor } } }`,
        { after },
      );
      expect(data.gpus.totalCount).toBe(43);
      seen.push(...data.gpus.nodes.map((node: { slug: string }) => node.slug));
      after = data.gpus.pageInfo.hasNextPage ? data.gpus.pageInfo.endCursor : null;
    } while (after !== null);
    expect(seen).toHaveLength(43);
    expect(new Set(seen).size).toBe(43);
    expect(seen[0]).toBe("amd-mi300x-192gb");
  });

  it("of related rows take the same arguments", async () => {
    const { data } = await server.query(`{
      model(slug: "llama-3.1-8b") {
        scenarios(filter: { context: { gte: 100000 } }) { nodes { slug } totalCount }
        files(filter: { quantFormat: "q4_k_m" }) { nodes { size { bytes gib gb mib } quantFormat { slug } model { slug } } }
        measurements { nodes { runtime { slug } measured context } }
      }
      gpu(slug: "nvidia-h100-80gb-sxm") { systems(sort: { field: GPU_COUNT, direction: DESC }) { nodes { slug } } }
      runtime(slug: "llama-cpp") { quantFormats { totalCount } kvCacheTypes { nodes { slug } } }
    }`);
    expect(data).toEqual({
      model: {
        scenarios: { nodes: [{ slug: "llama-3.1-8b-q4-k-m-128k" }], totalCount: 1 },
        files: {
          nodes: [
            {
              size: {
                bytes: 4_920_734_272,
                gib: 4_920_734_272 / 2 ** 30,
                gb: 4.920734272,
                mib: 4_920_734_272 / 2 ** 20,
              },
              quantFormat: { slug: "q4_k_m" },
              model: { slug: "llama-3.1-8b" },
            },
          ],
        },
        measurements: { nodes: [{ runtime: { slug: "llama-cpp" }, measured: { kvMib: 1024 }, context: 8192 }] },
      },
      gpu: { systems: { nodes: [{ slug: "cloudy-8x-h100" }, { slug: "cloudy-1x-h100" }] } },
      runtime: { quantFormats: { totalCount: 3 }, kvCacheTypes: { nodes: [{ slug: "f16" }, { slug: "kv-q8_0" }] } },
    });
  });
});

describe("single things", () => {
  it("are null when they do not exist, whatever the slug", async () => {
    for (const slug of ["nope", "", "__proto__", "constructor", "toString", "x".repeat(10_000)]) {
      const { data, errors } = await server.query(
        `query ($slug: String!) {
          model(slug: $slug) { slug } quantFormat(slug: $slug) { slug } kvCacheType(slug: $slug) { slug }
          gpu(slug: $slug) { slug } system(slug: $slug) { slug } runtime(slug: $slug) { slug }
          scenario(slug: $slug) { slug } measurement(slug: $slug) { slug }
        }`,
        { slug },
      );
      expect(errors).toBeUndefined();
      expect(Object.values(data).every((value) => value === null)).toBe(true);
    }
  });

  it("are found by slug, archived ones too", async () => {
    const { data } = await server.query(
      `{ model(slug: "retired-1b") { archivedAt createdAt version sources { title url } } }`,
    );
    expect(data.model).toEqual({
      archivedAt: "2026-01-01T00:00:00.000Z",
      createdAt: "2026-01-01T00:00:00.000Z",
      version: 1,
      sources: [{ title: "made up", url: null }],
    });
  });

  it("keep nominal and usable memory of a card apart", async () => {
    const { data } = await server.query(
      `{ gpu(slug: "nvidia-h100-80gb-sxm") { memory { gib } usableMemory { mib } visibleMemory { mib } class } }`,
    );
    expect(data.gpu).toEqual({
      memory: { gib: 80 },
      usableMemory: { mib: 81_089 },
      visibleMemory: { mib: 81_559 },
      class: "DATACENTER",
    });
  });
});

describe("node and nodes", () => {
  it("find everything that has an id by it", async () => {
    const lists = [
      "models",
      "quantFormats",
      "kvCacheTypes",
      "gpus",
      "systems",
      "runtimes",
      "scenarios",
      "measurements",
    ];
    const { data } = await server.query(
      `{ ${lists.map((list) => `${list}(first: 1) { nodes { id __typename slug } }`).join(" ")} }`,
    );
    const found = lists.map((list) => data[list].nodes[0]);
    const ids = found.map((thing) => thing.id);
    const again = await server.query(
      `query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on Gpu { slug } ... on Model { slug } } }`,
      { ids },
    );
    expect(again.data.nodes.map((node: { id: string; __typename: string }) => [node.id, node.__typename])).toEqual(
      found.map((thing) => [thing.id, thing.__typename]),
    );
    expect(new Set(ids).size).toBe(lists.length);
    const one = await server.query(`query ($id: ID!) { node(id: $id) { ... on Gpu { slug } } }`, { id: ids[3] });
    expect(one.data.node).toEqual({ slug: found[3].slug });
  });

  it("keep the order and give null for what does not exist", async () => {
    const { data } = await server.query(`{ models(first: 1) { nodes { id } } }`);
    const id = data.models.nodes[0].id;
    const text = Buffer.from(id, "base64url").toString();
    const garbage = [
      "garbage",
      "",
      "💥",
      Buffer.from("Model:").toString("base64url"),
      Buffer.from("constructor:x").toString("base64url"),
      Buffer.from(text.replace("Model", "Gpu")).toString("base64url"),
      Buffer.from(`${text}:x`).toString("base64url"),
    ];
    const { data: again } = await server.query(`query ($ids: [ID!]!) { nodes(ids: $ids) { id } }`, {
      ids: [...garbage, id, ...garbage],
    });
    const nothing = garbage.map(() => null);
    expect(again.nodes).toEqual([...nothing, { id }, ...nothing]);
  });
});

describe("scenarios", () => {
  it("link others: of the same model first, then of its family, then of its kind of attention", async () => {
    const { data } = await server.query(
      `{ scenario(slug: "llama-3.1-8b-q4-k-m-8k") { related { nodes { slug } } first: related(first: 1) { nodes { slug } pageInfo { endCursor } } } }`,
    );
    const related = data.scenario.related.nodes.map((node: { slug: string }) => node.slug);
    expect(related).toEqual(["llama-3.1-8b-q4-k-m-128k", "llama-3.1-70b-q4-k-m-8k"]);
    const next = await server.query(
      `query ($after: String) { scenario(slug: "llama-3.1-8b-q4-k-m-8k") { related(after: $after) { nodes { slug } } } }`,
      { after: data.scenario.first.pageInfo.endCursor },
    );
    expect(next.data.scenario.related.nodes).toEqual([{ slug: "llama-3.1-70b-q4-k-m-8k" }]);
  });
});
