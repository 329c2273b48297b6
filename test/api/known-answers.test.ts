import { describe, expect, it } from "vitest";
import { serveSeed } from "./setup/seeded-server.js";

/*
 * What llama.cpp itself answers for these models (July 2026 build: llama-quantize --dry-run and llama-fit-params over
 * header-only GGUF files; published start-up logs agree), asked of the server over the seeded catalogue.
 */
const seeded = serveSeed();

const ESTIMATE = `query ($input: EstimateInput!) {
  estimate(input: $input) {
    total { bytes }
    fits
    weights { size { mib gb gib } parameters basis }
    kvCache { size { bytes mib } bytesPerToken }
    compute { bytes mib }
    host { weights { mib } compute { mib } }
    devices { weights { mib } kvCache { mib } compute { mib } overhead { mib } total { mib } capacity { mib } free { mib } }
    warnings { code }
  }
}`;

interface Size {
  bytes: number;
  mib: number;
  gib: number;
  gb: number;
}

async function estimate(input: Record<string, unknown>) {
  const { data, errors } = await seeded.server.query(ESTIMATE, { input });
  expect(errors).toBeUndefined();
  return data.estimate;
}

/** As the command-line tools run: a row of logits for every token of the microbatch. */
const COMMAND_LINE = { llamaCpp: { outputRows: 512 } };

describe("llama.cpp on one device without limit", () => {
  it.each([
    //model, format, context, device weights, host weights, cache, compute (MiB)
    ["deepseek-v3", "q4_k_m", 131072, 385_253.5, 497.1, 8784, 506],
    ["llama-3.1-8b", "q4_k_m", 131072, 4403.5, 281.8, 16_384, 258],
    ["llama-3.1-70b", "q4_k_m", 8192, 39_979.5, 563.6, 2560, 266],
    ["gemma-3-27b-it", "q4_k_m", 131072, 15_773.9, 1102.8, 10_864, 522],
    ["gpt-oss-120b", "mxfp4_moe", 131072, 59_851.6, 586.8, 4635, 398.4],
    ["qwen3-30b-a3b", "q4_k_m", 131072, 17_524.4, 166.9, 12_288, 300],
  ])("%s %s at %i tokens", async (slug, quant, context, deviceMib, hostMib, cacheMib, computeMib) => {
    const result = await estimate({ model: { slug }, quant, context, runtime: COMMAND_LINE });
    const [device] = result.devices;
    expect(device.weights.mib).toBeCloseTo(deviceMib, 0);
    expect(result.host.weights.mib).toBeCloseTo(hostMib, 0);
    expect(result.kvCache.size.mib).toBe(cacheMib);
    expect(Math.abs(device.compute.mib - computeMib) / computeMib).toBeLessThan(0.01);
  });

  it("DeepSeek V3: parameters, file and cache to the byte", async () => {
    const result = await estimate({ model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072 });
    expect(result.weights.parameters).toBe(671_026_419_200);
    expect(result.weights.size.gb).toBeCloseTo(404.49, 2);
    expect(result.weights.size.gib).toBeCloseTo(376.71, 2);
    expect(result.kvCache.size.bytes).toBe(9_210_691_584);
    expect(result.kvCache.bytesPerToken).toBe(70_272);
    expect(result.host.compute.mib).toBeCloseTo(156, 0);
    expect(result.warnings).toEqual([]);
  });

  it("DeepSeek V3 with K and V at q8_0", async () => {
    const input = { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072 };
    const result = await estimate({ ...input, cacheTypeK: "q8_0" });
    expect(Math.floor(result.kvCache.size.mib)).toBe(4666);
  });

  it.each([
    ["llama-3.1-8b", 4685.3],
    ["qwen3-30b-a3b", 17_691.34],
  ])("the file of %s", async (slug, mib) => {
    const result = await estimate({ model: { slug }, quant: "q4_k_m" });
    expect(result.weights.size.mib).toBeCloseTo(mib, 1);
  });
});

describe("llama.cpp over several cards", () => {
  it("DeepSeek V3 on six H100: layers are dealt out, and the fullest card decides", async () => {
    const hardware = { gpus: [{ gpu: "nvidia-h100-sxm5-80gb", count: 6 }] };
    const input = { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072, runtime: COMMAND_LINE, hardware };
    const result = await estimate(input);
    expect(result.devices.map((device: { kvCache: Size }) => device.kvCache.mib)).toEqual([
      1584, 1440, 1584, 1440, 1440, 1296,
    ]);
    for (const device of result.devices) {
      expect(device.compute.mib).toBeGreaterThanOrEqual(960);
      expect(device.compute.mib).toBeLessThanOrEqual(1000);
      expect(device.capacity.mib).toBe(81_081);
    }
    const fullest = Math.max(...result.devices.map((device: { total: Size }) => device.total.mib));
    expect(fullest).toBeGreaterThanOrEqual(74_240);
    expect(fullest).toBeLessThanOrEqual(74_280);
    expect(result.fits).toBe(true);
    const total = result.devices.reduce((sum: number, device: { total: Size }) => sum + device.total.mib, 0);
    expect(total).toBeCloseTo(result.total.bytes / 2 ** 20, 3);
  });

  it.each([
    ["llama-3.1-8b", 131072, [["nvidia-rtx-3090-24gb", 1]], true],
    ["llama-3.1-70b", 8192, [["nvidia-rtx-3090-24gb", 2]], true],
    ["llama-3.1-70b", 131072, [["nvidia-rtx-3090-24gb", 2]], false],
    ["deepseek-v3", 131072, [["nvidia-h100-sxm5-80gb", 5]], false],
  ])("%s at %i tokens on %j: %s", async (slug, context, gpus, fits) => {
    const hardware = { gpus: (gpus as [string, number][]).map(([gpu, count]) => ({ gpu, count })) };
    const result = await estimate({ model: { slug }, quant: "q4_k_m", context, hardware });
    expect(result.fits).toBe(fits);
  });
});

describe("the rule of thumb", () => {
  it("is weights and cache and a tenth of both", async () => {
    const input = { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072 };
    const result = await estimate({ ...input, runtime: { ruleOfThumb: {} } });
    const both = result.devices[0].weights.mib + result.devices[0].kvCache.mib;
    expect(result.total.bytes / 2 ** 20 / both).toBeCloseTo(1.1, 6);
  });
});

describe("the scenario the catalogue started from", () => {
  it("says what is true", async () => {
    const { data, errors } = await seeded.server.query(`{
      scenario(slug: "deepseek-v3-671b-q4-k-m-128k") {
        title question context quantFormat { slug } model { slug }
        answer explanation verdict faq { question answer }
        estimate { weights { size { gib } } }
        hardware(first: 100) { totalCount nodes { gpu { slug vendor memory { gib } } count system { slug } headroom { bytes } } }
        related(first: 5) { nodes { slug model { family } } }
      }
    }`);
    expect(errors).toBeUndefined();
    const { scenario } = data;
    const text = [scenario.answer, scenario.explanation, scenario.verdict, JSON.stringify(scenario.faq)].join("\n");
    for (const truth of ["376.71 GiB", "404.49 GB", "8.58 GiB", "70,272", "576", "61", "6 x NVIDIA H100"]) {
      expect(text).toContain(truth);
    }
    expect(text).not.toMatch(/\{\{|undefined|NaN|null/);
    const sets = scenario.hardware.nodes.filter((fit: { system: unknown }) => fit.system === null);
    const of = (slug: string) => sets.find((fit: { gpu: { slug: string } }) => fit.gpu.slug === slug)?.count;
    expect(of("nvidia-h100-sxm5-80gb")).toBe(6);
    const single = sets.filter((fit: { count: number }) => fit.count === 1);
    expect(single.filter((fit: { gpu: { memory: Size } }) => fit.gpu.memory.gib <= 288)).toEqual([]);
    expect(scenario.hardware.nodes.every((fit: { headroom: Size }) => fit.headroom.bytes >= 0)).toBe(true);
    expect(scenario.related.nodes.length).toBeGreaterThan(0);
  });
});
