import { describe, expect, it } from "vitest";
import { createTable } from "../../src/data/catalogue.js";
import { serveSeed } from "./setup/seeded-server.js";
import { startServer } from "./setup/start-server.js";

/*
 * Hardware that fits, asked of the server over the seeded catalogue. What fits is what llama.cpp itself answers (July
 * 2026 build, llama-fit-params over header-only GGUF files); what vLLM refuses are its own checks at start.
 */
const seeded = serveSeed();

const FIELDS = `totalCount reason
  nodes { gpu { slug vendor class form memory { bytes } } count nodes system { slug kind scaleUpDomainGpus gpuCount usdPerHour hostMemory { bytes } }
    plan { kind tensor pipeline expertParallel layersPerDevice gpuLayers cpuMoeLayers tensorSplit }
    devices { total { bytes mib } } host { total { bytes gib } } offload headroom { bytes gib } maxContext maxSequences
    tdpWatts usdPerHour usdToBuy }
  nearest { gpu { slug } count nodes system { slug } plan { kind } shortBy { bytes } maxContext message }`;

interface Size {
  bytes: number;
  mib: number;
  gib: number;
}

interface Plan {
  kind: string;
  tensor: number;
  pipeline: number;
  expertParallel: boolean;
  layersPerDevice: number[];
  gpuLayers: number | null;
  cpuMoeLayers: number;
  tensorSplit: number[] | null;
}

interface Fit {
  gpu: { slug: string; vendor: string; class: string; form: string; memory: Size };
  count: number;
  nodes: number;
  system: {
    slug: string;
    kind: string;
    scaleUpDomainGpus: number;
    gpuCount: number;
    usdPerHour: number | null;
    hostMemory: Size | null;
  } | null;
  plan: Plan;
  devices: { total: Size }[];
  host: { total: Size };
  offload: string;
  headroom: Size;
  maxContext: number;
  maxSequences: number;
  tdpWatts: number | null;
  usdPerHour: number | null;
  usdToBuy: number | null;
}

interface Miss {
  gpu: { slug: string };
  count: number;
  nodes: number;
  system: { slug: string } | null;
  plan: { kind: string } | null;
  shortBy: Size | null;
  maxContext: number;
  message: string;
}

interface Found {
  totalCount: number;
  reason: string | null;
  nodes: Fit[];
  nearest: Miss[];
}

type Input = Record<string, unknown>;

async function hardware(input: Input, filter: Input = {}, sort?: string, fields = FIELDS): Promise<Found> {
  const { data, errors } = await seeded.server.query(
    `query ($input: EstimateInput!, $filter: HardwareFilter, $sort: HardwareSort) {
      hardware(input: $input, filter: $filter, sort: $sort, first: 100) { ${fields} } }`,
    { input, filter, sort },
  );
  expect(errors).toBeUndefined();
  return data.hardware;
}

async function estimate(input: Input, fields = "fits maxContext maxSequences") {
  const { data, errors } = await seeded.server.query(
    `query ($input: EstimateInput!) { estimate(input: $input) { ${fields} } }`,
    { input },
  );
  expect(errors).toBeUndefined();
  return data.estimate;
}

const model = (slug: string, context: number, quant = "q4_k_m") => ({ model: { slug }, quant, context });
const deepseek = model("deepseek-v3", 131_072);
const llama8 = model("llama-3.1-8b", 131_072);
const llama70 = model("llama-3.1-70b", 8192);
const H100 = "nvidia-h100-sxm5-80gb";
const RTX_3090 = "nvidia-rtx-3090-24gb";
const cards = (gpu: string, more: Input = {}) => ({ gpu: [gpu], kind: ["CARDS"], ...more });
const vllm = (tensorParallel = 1, expertParallel = false) => ({
  runtime: { vllm: { tensorParallel, expertParallel } },
});

describe("known answers", () => {
  it("DeepSeek V3 in llama.cpp takes six H100; five are short by what they are short", async () => {
    const found = await hardware(deepseek, cards(H100));
    expect(found.nodes.map(({ count }) => count)).toEqual([6]);
    const fullest = Math.max(...(found.nodes[0]?.devices ?? []).map(({ total }) => total.mib));
    expect(fullest).toBeGreaterThan(74_200);
    expect(fullest).toBeLessThan(74_280);
    const [five] = found.nearest;
    expect(five).toMatchObject({ gpu: { slug: H100 }, count: 5, system: null, maxContext: 0 });

    const none = await hardware(deepseek, cards(H100, { maxCount: 5 }));
    expect(none.nodes).toEqual([]);
    expect(none.reason).toContain("too small within `count`");
    expect(none.reason).toContain(none.nearest[0]?.message);
    expect(none.nearest[0]).toEqual(five);
    const devices = "devices { total { bytes } capacity { bytes } } fits";
    const asked = await estimate({ ...deepseek, hardware: { gpus: [{ gpu: H100, count: 5 }] } }, devices);
    const lacking = asked.devices.map(
      (device: { total: Size; capacity: Size }) => device.total.bytes - device.capacity.bytes,
    );
    // And the driver's context beside it.
    expect(five?.shortBy?.bytes).toBeGreaterThan(Math.max(...lacking));
    expect(five?.shortBy?.bytes).toBeLessThan(Math.max(...lacking) + 600 * 2 ** 20);
  });

  it("no single card of up to 288 GB holds DeepSeek V3", async () => {
    const found = await hardware(deepseek, { maxCount: 1, memoryGib: { lte: 288 }, form: ["PCIE", "SXM", "OAM"] });
    expect(found.totalCount).toBe(0);
    expect(found.nearest[0]?.gpu.slug).toMatch(/^amd-mi35/);
  });

  it("Llama 3.1 8B at 131,072 fits one RTX 3090; 70B does not fit two, but at 8,192 it does", async () => {
    expect((await hardware(llama8, cards(RTX_3090))).nodes.map(({ count }) => count)).toEqual([1]);
    expect((await hardware(llama70, cards(RTX_3090))).nodes.map(({ count }) => count)).toEqual([2]);
    const long = await hardware({ ...llama70, context: 131_072 }, cards(RTX_3090, { maxCount: 2 }));
    expect(long).toMatchObject({ totalCount: 0, nearest: [{ count: 2 }] });
    expect(long.nearest[0]?.maxContext).toBeGreaterThan(8192);
    expect(long.nearest[0]?.maxContext).toBeLessThan(131_072);
  });

  it("vLLM does not share DeepSeek V3's 128 heads among six cards, but among eight", async () => {
    const fp8 = { ...deepseek, quant: "fp8" };
    const query = "query ($input: EstimateInput!) { estimate(input: $input) { fits } }";
    const six = await seeded.server.query(query, { input: { ...fp8, ...vllm(6) } });
    expect(six.errors?.[0]).toMatchObject({ extensions: { argument: ["input", "runtime", "vllm", "tensorParallel"] } });
    expect(six.errors?.[0]?.message).toContain("128 attention heads");
    expect((await estimate({ ...fp8, ...vllm(8) })).fits).toBeNull();
    const found = await hardware({ ...fp8, ...vllm() }, cards("nvidia-h200-sxm-141gb"));
    expect(found.nodes.map(({ count, plan }) => [count, plan.tensor * plan.pipeline])).toEqual([[6, 6]]);
    expect(found.nodes[0]?.plan.tensor).not.toBe(6);
  });

  it("Qwen3-235B-A22B in FP8: TP8 cuts through blocks of scales, TP4 and TP8 with whole experts do not", async () => {
    const qwen = model("qwen3-235b-a22b", 8192, "fp8");
    const plans = async (filter: Input) =>
      (await hardware({ ...qwen, ...vllm() }, filter)).nodes.map(({ plan }) => plan);
    const [eight] = await plans({ system: ["box-dgx-h100"] });
    expect(eight).toMatchObject({ tensor: 8, pipeline: 1, expertParallel: true });
    const [four] = await plans(cards(H100, { count: { gte: 4, lte: 4 } }));
    expect(four).toMatchObject({ tensor: 4, pipeline: 1, expertParallel: false });
  });
});

/** The set as an EstimateInput names it: a system where there is one machine, else its cards. */
const asInput = ({ gpu, count, system, nodes }: Pick<Fit, "gpu" | "count" | "system" | "nodes">) => ({
  hardware: system !== null && nodes === 1 ? { system: system.slug } : { gpus: [{ gpu: gpu.slug, count }] },
});

/** llama.cpp told to follow a plan. */
const following = ({ gpuLayers, cpuMoeLayers }: Pick<Plan, "gpuLayers" | "cpuMoeLayers">) => ({
  runtime: { llamaCpp: { gpuLayers, cpuMoeLayers } },
});

describe("what is found", () => {
  it("is the same by Query.hardware, Estimate.hardware and Scenario.hardware", async () => {
    const list = "hardware(first: 3) { totalCount nodes { gpu { slug } count headroom { bytes } } }";
    const { data } = await seeded.server.query(
      `query ($input: EstimateInput!) {
        hardware(input: $input, first: 3) { totalCount nodes { gpu { slug } count headroom { bytes } } }
        estimate(input: $input) { ${list} }
        scenario(slug: "deepseek-v3-671b-q4-k-m-128k") { ${list} }
      }`,
      { input: deepseek },
    );
    expect(data.hardware.nodes).toHaveLength(3);
    expect(data.estimate.hardware).toEqual(data.hardware);
    expect(data.scenario.hardware).toEqual(data.hardware);
  });

  it("has the largest context and number of sequences: one more of either does not fit", async () => {
    for (const input of [llama70, { ...llama8, quant: "bf16", ...vllm() }]) {
      const [fit] = (await hardware(input, cards(RTX_3090))).nodes;
      if (!fit) throw new Error("nothing is found");
      const runtime =
        fit.plan.kind === "TENSOR_PIPELINE"
          ? { runtime: { vllm: { tensorParallel: fit.plan.tensor, pipelineParallel: fit.plan.pipeline } } }
          : {};
      const on = { ...input, ...asInput(fit), ...runtime };
      expect(await estimate(on)).toEqual({
        fits: true,
        maxContext: fit.maxContext,
        maxSequences: fit.maxSequences,
      });
      const fits = async (more: Input) => (await estimate({ ...on, ...more })).fits;
      expect(await fits({ context: fit.maxContext })).toBe(true);
      expect(await fits({ context: fit.maxContext + 256 })).toBe(false);
      expect(await fits({ sequences: fit.maxSequences })).toBe(true);
      expect(await fits({ sequences: fit.maxSequences + 1 })).toBe(false);
    }
  });

  it("holds no more sequences than the engine runs at once", async () => {
    const hardware = { gpus: [{ gpu: H100, count: 1 }] };
    const short = { ...model("llama-3.1-8b", 256), hardware };
    expect((await estimate(short)).maxSequences).toBe(256);
    const served = { ...short, quant: "bf16", runtime: { vllm: { maxNumSeqs: 48 } } };
    expect((await estimate(served)).maxSequences).toBe(48);
    expect((await estimate(model("llama-3.1-8b", 256))).maxSequences).toBeNull();
    const small = { gpus: [{ gpu: RTX_3090, count: 1 }] };
    expect(await estimate({ ...llama70, hardware: small })).toEqual({ fits: false, maxContext: 0, maxSequences: 0 });
  });

  it("is on hardware that the engine runs on, and on no more devices than it takes", async () => {
    const mlx = await hardware({ ...model("llama-3.1-8b", 8192, "mlx-4bit"), runtime: { mlx: {} } });
    expect(new Set(mlx.nodes.map(({ gpu }) => gpu.vendor))).toEqual(new Set(["Apple"]));
    const served = await hardware({ ...llama8, quant: "bf16", ...vllm() }, { vendor: ["apple"] });
    expect(served).toMatchObject({ totalCount: 0, nearest: [] });
    expect(served.reason).toContain("not hardware that the engine runs on");
    const rack = await hardware(deepseek, { system: ["box-gb200-nvl72"] });
    expect(rack.reason).toContain("of more devices than the engine uses");
  });
});

describe("kernels by card generation", () => {
  const fp8 = { ...model("qwen3-8b", 8192, "fp8-tensor"), runtime: { vllm: {} } };
  const fields = "totalCount reason nodes { gpu { slug vendor computeCapability } warnings { code } }";
  interface Kernels {
    gpu: { slug: string; vendor: string; computeCapability: string };
    warnings: { code: string }[];
  }

  it("keep out what has none, and warn of those that are made for something else", async () => {
    const nodes = (await hardware(fp8, { kind: ["CARDS"] }, undefined, fields)).nodes as unknown as Kernels[];
    const nvidia = nodes.filter(({ gpu }) => gpu.vendor === "NVIDIA");
    const codes = (from: number, below: number) =>
      nvidia
        .filter(({ gpu }) => Number(gpu.computeCapability) >= from && Number(gpu.computeCapability) < below)
        .map(({ warnings }) => warnings.some(({ code }) => code === "KERNEL_FALLBACK"));
    expect(codes(0, 7.5)).toEqual([]);
    expect(new Set(codes(7.5, 8.9))).toEqual(new Set([true]));
    expect(new Set(codes(8.9, 99))).toEqual(new Set([false]));
    const amd = nodes.filter(({ gpu }) => gpu.vendor === "AMD").map(({ gpu }) => gpu.computeCapability);
    expect(amd).toContain("gfx942");
    expect(amd).not.toContain("gfx90a");
  });

  it("are the reason where nothing is found", async () => {
    const { nodes, reason, nearest } = await hardware(fp8, { gpu: ["nvidia-v100-32gb-sxm2", "amd-mi250-128gb"] });
    expect(nodes).toEqual([]);
    expect(nearest).toEqual([]);
    expect(reason).toMatch(/without kernels for any model \(it needs compute capability 7\.5\)/);
    expect(reason).toMatch(/without kernels for FP8 weights \(they need MI300 or later/);
  });

  it("decide on the best format, too", async () => {
    const { bestQuantFormat } = await estimate(
      {
        ...fp8,
        runtime: { tensorrtLlm: {} },
        hardware: { gpus: [{ gpu: "nvidia-a100-sxm4-80gb" }] },
        quant: "awq-int4",
      },
      "bestQuantFormat { quantFormat { slug } estimate { warnings { code } } }",
    );
    expect(bestQuantFormat.quantFormat.slug).toBe("bf16");
    const small = await estimate(
      {
        ...fp8,
        runtime: { tensorrtLlm: {} },
        hardware: { gpus: [{ gpu: "nvidia-rtx-3060-12gb" }] },
        quant: "awq-int4",
      },
      "bestQuantFormat { quantFormat { slug } }",
    );
    expect(small.bestQuantFormat.quantFormat.slug).toBe("awq-int4");
  });
});

describe("splits of serving engines", () => {
  const served = { ...deepseek, quant: "fp8", ...vllm() };

  it("stay inside one machine, and in its fast domain where that fits", async () => {
    const { nodes } = await hardware(served, { kind: ["SYSTEM"] });
    expect(nodes.length).toBeGreaterThan(20);
    for (const { system, plan, count, nodes: machines } of nodes) {
      const perNode = system?.gpuCount ?? 0;
      expect(count).toBe(machines * perNode);
      expect(plan.tensor * plan.pipeline).toBe(count);
      expect(perNode % plan.tensor).toBe(0);
      expect(plan.layersPerDevice.reduce((sum, layers) => sum + layers, 0)).toBe(61 * plan.tensor);
    }
    const plansOn = async (input: Input, filter: Input) =>
      (await hardware(input, filter)).nodes.map(({ plan }) => [plan.tensor, plan.pipeline]);
    const small = { ...model("llama-3.1-8b", 8192, "bf16"), ...vllm() };
    const four = { count: { gte: 4, lte: 4 } };
    expect(await plansOn(small, cards(H100, four))).toEqual([[4, 1]]);
    // Pairs under a bridge, and cards on nothing but PCIe.
    expect(await plansOn(small, { system: ["box-4x-rtx-3090-desktop"] })).toEqual([[2, 2]]);
    expect(await plansOn(small, cards("nvidia-rtx-4090-24gb", four))).toEqual([[1, 4]]);
  });

  it("are refused in the engine's words where no split of so many is legal", async () => {
    // 10 heads and 12 layers: thirteen cards can neither share a layer nor each have one.
    const tiny = { ...model("deepseek-vl2-tiny", 512, "bf16"), ...vllm() };
    const thirteen = await hardware(tiny, cards(H100, { count: { gte: 13, lte: 13 } }));
    expect(thirteen).toMatchObject({
      totalCount: 0,
      nearest: [{ count: 13, plan: null, shortBy: null, maxContext: 0 }],
    });
    expect(thirteen.nearest[0]?.message).toContain("10 attention heads do not divide over 13 devices");
    expect(thirteen.reason).toContain("takes no split over so many devices");
    const twelve = await hardware(tiny, cards(H100, { count: { gte: 12, lte: 12 } }));
    expect(twelve.totalCount).toBe(1);
  });

  it("take whole machines beyond one, priced together; llama.cpp stays in one", async () => {
    const { nodes } = await hardware(served, { system: ["aws-p5-48xlarge"] });
    expect(nodes[0]).toMatchObject({ nodes: 2, count: 16, plan: { tensor: 8, pipeline: 2 } });
    expect(nodes[0]?.usdPerHour).toBeCloseTo(2 * (nodes[0]?.system?.usdPerHour ?? 0), 6);
    expect(await hardware(served, { system: ["aws-p5-48xlarge"], nodes: { lte: 1 } })).toMatchObject({
      totalCount: 0,
      nearest: [{ nodes: 1, count: 8 }],
    });
    const more = await hardware(served, { system: ["aws-p5-48xlarge"], nodes: { gte: 3 } });
    expect(more.nodes[0]).toMatchObject({ nodes: 3, count: 24 });
    const local = await hardware(deepseek, { system: ["aws-g6-48xlarge"] });
    expect(local).toMatchObject({ totalCount: 0, nearest: [{ nodes: 1, count: 8 }] });
  });

  it("do not join serverless workers, between which there is no network", async () => {
    const input = { ...model("llama-3.1-70b", 8192, "fp8"), ...vllm() };
    const { nodes } = await hardware(input, { search: "serverless" });
    expect(nodes.length).toBeGreaterThan(0);
    expect(nodes.every((fit) => fit.nodes === 1)).toBe(true);
    const large = await hardware({ ...model("deepseek-v3", 8192, "fp8"), ...vllm() }, { search: "serverless" });
    expect(large.nodes).toEqual([]);
    expect(large.reason).toMatch(/8 cards and systems .*too small/);
  });
});

describe("filters and sorts", () => {
  it("are met by a larger set where a smaller one does not", async () => {
    const counts = async (filter: Input) =>
      (await hardware(llama70, cards(RTX_3090, filter))).nodes.map((fit) => fit.count);
    const [two] = (await hardware(llama70, cards(RTX_3090))).nodes;
    expect(two?.count).toBe(2);
    expect(await counts({ minHeadroomGib: Math.floor(two?.headroom.gib ?? 0) + 1 })).toEqual([3]);
    expect(await counts({ minContext: (two?.maxContext ?? 0) + 1 })).toEqual([3]);
    expect(await counts({ minContext: two?.maxContext })).toEqual([2]);
    expect(await counts({ count: { gte: 5 } })).toEqual([5]);
    expect(await counts({ maxWatts: 699 })).toEqual([]);
    expect(await counts({ maxWatts: 700 })).toEqual([2]);
    expect(await counts({ usdToBuy: { lte: (two?.usdToBuy ?? 0) - 1 } })).toEqual([]);
  });

  it("let through what they say", async () => {
    const found = async (filter: Input) => (await hardware(llama70, filter)).nodes;
    for (const fit of await found({ class: ["DATACENTER"], form: ["SXM"], count: { gte: 2, lte: 4 } })) {
      expect(fit).toMatchObject({ gpu: { class: "DATACENTER", form: "SXM" } });
      expect(fit.count).toBeGreaterThanOrEqual(2);
      expect(fit.count).toBeLessThanOrEqual(4);
    }
    const rented = await found({ ownership: ["RENT"] });
    expect(rented.length).toBeGreaterThan(5);
    expect(
      rented.every(({ system, usdPerHour }) => (system === null ? usdPerHour !== null : system.kind === "CLOUD")),
    ).toBe(true);
    const bought = await found({ ownership: ["BUY"] });
    expect(bought.length).toBeGreaterThan(5);
    expect(bought.every(({ system, gpu }) => system?.kind !== "CLOUD" && gpu.slug !== "nvidia-t4g-16gb")).toBe(true);
    const host = await found({ offload: ["LAYERS"], maxHostMemoryGib: 24 });
    expect(host.length).toBeGreaterThan(3);
    expect(host.every((fit) => fit.host.total.gib <= 24 && fit.offload === "LAYERS")).toBe(true);
  });

  it("order by power, unknown ones last", async () => {
    const { nodes } = await hardware(llama70, {}, "LEAST_POWER");
    const watts = nodes.flatMap(({ tdpWatts }) => tdpWatts ?? []);
    expect(watts.length).toBeGreaterThan(10);
    expect(nodes.slice(0, watts.length).map(({ tdpWatts }) => tdpWatts)).toEqual(watts.toSorted((a, b) => a - b));
  });

  it("come with near misses, the least short first, each of which would fit with its context", async () => {
    const { nearest } = await hardware(llama70, { kind: ["CARDS"] });
    const lacking = nearest.map(({ shortBy }) => shortBy?.bytes ?? 0);
    expect(lacking).toHaveLength(5);
    expect(lacking).toEqual(lacking.toSorted((a, b) => a - b));
    const near = nearest.find(({ maxContext }) => maxContext > 0);
    if (!near) throw new Error("no near miss leaves a context");
    const on = { ...llama70, hardware: { gpus: [{ gpu: near.gpu.slug, count: near.count }] } };
    expect(await estimate(on, "fits maxContext")).toEqual({ fits: false, maxContext: near.maxContext });
    expect(await estimate({ ...on, context: near.maxContext }, "fits")).toEqual({ fits: true });
  });
});

describe("offload", () => {
  it("moves the fewest experts or layers that make it fit: one fewer does not", async () => {
    const { nodes } = await hardware(deepseek, cards(H100, { offload: ["NONE", "EXPERTS", "LAYERS"] }));
    expect(nodes.map(({ offload, count }) => [offload, count])).toEqual([
      ["EXPERTS", 1],
      ["LAYERS", 1],
      ["NONE", 6],
    ]);
    const on = asInput({ gpu: { slug: H100 }, count: 1, system: null, nodes: 1 } as Fit);
    for (const { offload, plan, host, maxContext } of nodes.slice(0, 2)) {
      const told = { ...deepseek, ...on, ...following(plan) };
      const again = await estimate(told, "fits maxContext host { total { bytes } } plan { gpuLayers cpuMoeLayers }");
      expect(again).toEqual({
        fits: true,
        maxContext,
        host: { total: { bytes: host.total.bytes } },
        plan: { gpuLayers: plan.gpuLayers, cpuMoeLayers: plan.cpuMoeLayers },
      });
      const fewer =
        offload === "EXPERTS"
          ? { ...plan, cpuMoeLayers: plan.cpuMoeLayers - 1 }
          : { ...plan, gpuLayers: (plan.gpuLayers ?? 0) + 1 };
      expect((await estimate({ ...deepseek, ...on, ...following(fewer) })).fits).toBe(false);
      // The rest of 405 GB of weights is in host memory.
      expect(host.total.gib).toBeGreaterThan(300);
    }
  });

  it("is for sets that need it, and stays within the host memory that is known", async () => {
    const dense = await hardware(llama70, { offload: ["EXPERTS"] });
    expect(dense).toMatchObject({ totalCount: 0, nearest: [] });
    expect(dense.reason).toContain("without offload");
    const { nodes } = await hardware(deepseek, { offload: ["EXPERTS"], kind: ["SYSTEM"] });
    expect(nodes.length).toBeGreaterThan(3);
    for (const { host, system } of nodes) {
      if (system?.hostMemory != null) expect(host.total.bytes).toBeLessThanOrEqual(system.hostMemory.bytes);
    }
    // One L4 would do beside 368 GiB; the instance has 16.
    const small = await hardware(deepseek, { offload: ["EXPERTS"], system: ["aws-g6-xlarge"] });
    expect(small).toMatchObject({ totalCount: 0, nearest: [] });
    expect(small.reason).toContain("short of host memory");
  });

  it("unified memory: what is left beside the model has to hold the host's part", async () => {
    const { nodes } = await hardware(llama70, { class: ["UNIFIED", "EDGE"], offload: ["NONE", "LAYERS"] });
    expect(nodes.some(({ offload }) => offload === "LAYERS")).toBe(true);
    for (const { gpu, count, devices, host, headroom } of nodes) {
      const used = devices.reduce((sum, { total }) => sum + total.bytes, host.total.bytes);
      expect(used).toBeLessThanOrEqual(count * gpu.memory.bytes);
      expect(headroom.bytes).toBeGreaterThanOrEqual(0);
    }
    // 48 GB hold what Metal lets the model have (37.4 GiB) and the rest; 32 GB do not.
    const mac = nodes.find(({ system }) => system?.slug === "mac-mini-m4-pro-48gb");
    expect(mac).toMatchObject({ offload: "LAYERS" });
    expect(mac?.plan.gpuLayers).toBeLessThan(81);
    const fields = "fits warnings { code }";
    const halved = { ...llama70, runtime: { llamaCpp: { gpuLayers: 30 } } };
    expect(await estimate({ ...halved, hardware: { system: "mac-mini-m4-pro-48gb" } }, fields)).toEqual({
      fits: true,
      warnings: [],
    });
    expect(await estimate({ ...halved, hardware: { system: "mac-mini-m4-32gb" } }, fields)).toMatchObject({
      fits: false,
      warnings: [{ code: "HOST_MEMORY_SHORT" }],
    });
  });
});

describe("mixed sets", () => {
  const gpus = [
    { gpu: RTX_3090, count: 1 },
    { gpu: "nvidia-rtx-4090-24gb", count: 2 },
  ];
  const PLAN = "plan { layersPerDevice tensorSplit } total { bytes }";
  const split = (tensorSplit: number[]) => ({ runtime: { llamaCpp: { tensorSplit } } });

  it("are split in proportion to free memory, and the same when told so", async () => {
    const hardware = { gpus: [...gpus, { gpu: H100, count: 1 }] };
    const free = await estimate({ ...llama70, hardware }, `${PLAN} fits`);
    const layers: number[] = free.plan.layersPerDevice;
    expect(layers.reduce((sum, count) => sum + count, 0)).toBe(80);
    expect(layers[3]).toBeGreaterThan(3 * Math.max(...layers.slice(0, 3)));
    const all = free.plan.tensorSplit.reduce((sum: number, share: number) => sum + share, 0);
    for (const [index, share] of free.plan.tensorSplit.entries()) {
      // The output layer goes with the last of 80.
      const slots = (layers[index] ?? 0) + (index === layers.length - 1 ? 1 : 0);
      expect(Math.abs(slots - (81 * share) / all)).toBeLessThan(1);
    }
    const told = await estimate({ ...llama70, hardware, ...split(free.plan.tensorSplit) }, `${PLAN} fits`);
    expect(told).toEqual(free);
  });

  it("follow the split that is given", async () => {
    const result = await estimate({ ...llama70, hardware: { gpus }, ...split([0, 3, 1]) }, PLAN);
    expect(result.plan).toEqual({ layersPerDevice: [0, 61, 19], tensorSplit: [0, 3, 1] });
    // A search is over sets of its own.
    const found = await hardware({ ...llama70, hardware: { gpus }, ...split([0, 3, 1]) }, cards(RTX_3090));
    expect(found.nodes).toMatchObject([{ count: 2, plan: { tensorSplit: null } }]);
  });

  it.each([
    ["a share too few", [1, 1]],
    ["a share too many", [1, 1, 1, 1]],
    ["no share", []],
    ["nothing but zeros", [0, 0, 0]],
    ["less than nothing", [1, -1, 1]],
  ])("refuse %s", async (_, tensorSplit) => {
    const query = "query ($input: EstimateInput!) { estimate(input: $input) { fits } }";
    const { errors } = await seeded.server.query(query, {
      input: { ...llama70, hardware: { gpus }, ...split(tensorSplit) },
    });
    expect(errors?.[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      argument: ["input", "runtime", "llamaCpp", "tensorSplit"],
    });
  });
});

describe("filters that make no sense", () => {
  it.each<[string, Input, string[]]>([
    ["no cards", { maxCount: 0 }, ["maxCount"]],
    ["a million cards", { maxCount: 1_000_000 }, ["maxCount"]],
    ["from a million cards", { count: { gte: 1_000_000 } }, ["count", "gte"]],
    ["up to no card", { count: { lte: 0 } }, ["count", "lte"]],
    ["no machine", { nodes: { gte: 0 } }, ["nodes", "gte"]],
    ["bounds that cross", { count: { gte: 4, lte: 2 } }, ["count"]],
    ["two bounds that cross", { count: { gte: 4 }, maxCount: 2 }, ["maxCount"]],
    ["memory that crosses", { memoryGib: { gte: 80, lte: 24 } }, ["memoryGib"]],
    ["prices that cross", { usdPerHour: { gte: 2, lte: 1 } }, ["usdPerHour"]],
    ["prices to buy that cross", { usdToBuy: { gte: 2, lte: 1 } }, ["usdToBuy"]],
    ["less than no headroom", { minHeadroomGib: -1 }, ["minHeadroomGib"]],
    ["no context", { minContext: 0 }, ["minContext"]],
    ["less than no host memory", { maxHostMemoryGib: -1 }, ["maxHostMemoryGib"]],
    ["no power", { maxWatts: 0 }, ["maxWatts"]],
    ["an unknown card", { gpu: ["h1000"] }, ["gpu", "0"]],
    ["an unknown system", { system: ["dgx-h1000"] }, ["system", "0"]],
  ])("%s: an error that names the field", async (_, filter, path) => {
    const { errors } = await seeded.server.query(
      "query ($input: EstimateInput!, $filter: HardwareFilter) { hardware(input: $input, filter: $filter) { totalCount } }",
      { input: llama8, filter },
    );
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["filter", ...path] });
  });

  it.each<[string, Input, RegExp]>([
    ["an unknown maker", { vendor: ["Nvidai"] }, /leaves no card.*No card is from "Nvidai"; makers are .*NVIDIA/],
    ["what contradicts itself", { vendor: ["apple"], form: ["SXM"] }, /leaves no card and no system/],
    ["more cards than there are", { count: { gte: 5000 } }, /left out by `count`/],
    ["several machines for llama.cpp", { nodes: { gte: 2 } }, /left out by `nodes`/],
    ["a price below all", { usdPerHour: { lte: 0.001 } }, /left out by `usdPerHour`/],
    ["no kind of plan", { offload: [] }, /Nothing is found/],
  ])("%s: an empty page with the reason", async (_, filter, reason) => {
    const found = await hardware(llama8, filter);
    expect(found).toMatchObject({ totalCount: 0, nodes: [] });
    expect(found.reason).toMatch(reason);
  });

  it("what is archived is not found, nor are systems of archived cards, and the reason says so", async () => {
    const catalogue = seeded.source.current();
    const archive = <Row extends { id: string; slug: string }>(rows: readonly Row[], slug: string) =>
      createTable(rows.map((row) => (row.slug === slug ? { ...row, archivedAt: new Date(0) } : row)));
    const later = await startServer({
      ...catalogue,
      gpus: archive(catalogue.gpus.rows, "nvidia-h200-sxm-141gb"),
      systems: archive(catalogue.systems.rows, "box-dgx-h100"),
    });
    try {
      const ask = async (filter: Input) => {
        const query = `query ($input: EstimateInput!, $filter: HardwareFilter) {
          hardware(input: $input, filter: $filter) { totalCount reason nearest { message } } }`;
        const { data, errors } = await later.query(query, { input: llama8, filter });
        expect(errors).toBeUndefined();
        return data.hardware;
      };
      const reasons = [
        [{ gpu: ["nvidia-h200-sxm-141gb"] }, "NVIDIA H200 SXM 141GB is archived."],
        [{ system: ["box-dgx-h200"] }, "The cards of DGX H200, NVIDIA H200 SXM 141GB, are archived."],
        [{ system: ["box-dgx-h100"] }, "DGX H100 is archived."],
      ] as const;
      for (const [filter, told] of reasons) {
        const found = await ask(filter);
        expect(found).toMatchObject({ totalCount: 0, nearest: [] });
        expect(found.reason).toContain(told);
      }
      expect((await ask({ search: "h200 sxm" })).totalCount).toBe(0);
    } finally {
      await later.stop();
    }
  });

  it("near misses are bounded, and nothing is wrong with a list that is not empty", async () => {
    const query =
      "query ($input: EstimateInput!, $n: Int!) { hardware(input: $input) { reason nearest(first: $n) { message } } }";
    expect((await seeded.server.query(query, { input: llama8, n: 101 })).errors?.[0]?.extensions).toMatchObject({
      code: "BAD_USER_INPUT",
      argument: ["first"],
    });
    const { data } = await seeded.server.query(query, { input: llama8, n: 0 });
    expect(data.hardware).toEqual({ reason: null, nearest: [] });
  });
});
