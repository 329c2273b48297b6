import { describe, expect, it } from "vitest";
import { serveSeed } from "./setup/seeded-server.js";

const seeded = serveSeed();

const FIGURE = "{ value low high }";
const SPEED = `query ($input: EstimateInput!, $depth: Int, $prompt: Int, $host: Float) {
  estimate(input: $input) {
    speed(depth: $depth, promptTokens: $prompt, hostBandwidth: $host) {
      decode ${FIGURE} throughput ${FIGURE} prefill ${FIGURE} timeToFirstToken ${FIGURE}
      limit bytesPerToken flopsPerToken measurements steps { title result }
    }
    cost { usdPerHour usdToBuy usdPerMonth usdPerMillionOutputTokens usdPerMillionInputTokens breakEvenMonths }
  }
}`;

async function ask(input: Record<string, unknown>, more: Record<string, unknown> = {}) {
  const asked = { model: { slug: "llama-3-8b" }, quant: "q4_k_m", context: 4096, ...input };
  const { data, errors } = await seeded.server.query(SPEED, { input: asked, ...more });
  expect(errors).toBeUndefined();
  return data.estimate;
}

const cards = (gpu: string, count = 1) => ({ gpus: [{ gpu, count }] });

describe("speed", () => {
  /*
   * llama-bench, Llama 3 8B, May 2024 builds (GPU-Benchmarks-on-LLM-Inference): decoding 512 tokens, and reading 512.
   * The figures took part in the fit; what is tested is that its physics come near over cards three times apart.
   */
  it.each([
    ["nvidia-rtx-3070-8gb", "q4_k_m", 72.79, 2402.51],
    ["nvidia-rtx-4090-24gb", "q4_k_m", 130.58, 7138.99],
    ["nvidia-rtx-4090-24gb", "f16", 54.84, 9382],
    ["nvidia-rtx-a6000-48gb", "f16", 40.71, 4511.02],
    ["nvidia-a100-pcie-80gb", "q4_k_m", 140.62, 5981.04],
  ])("of %s with %s is near what was measured", async (gpu, quant, decode, prefill) => {
    const { speed } = await ask({ quant, hardware: cards(gpu) }, { depth: 256, prompt: 512 });
    expect(Math.abs(Math.log(speed.decode.value / decode))).toBeLessThan(0.15);
    expect(Math.abs(Math.log(speed.prefill.value / prefill))).toBeLessThan(0.3);
    expect(speed.decode.low).toBeLessThan(decode);
    expect(speed.decode.high).toBeGreaterThan(decode);
    expect(speed.measurements).toBeGreaterThanOrEqual(10);
    expect(speed.timeToFirstToken.value).toBeCloseTo(512 / speed.prefill.value + 1 / speed.decode.value, 10);
    expect(speed.timeToFirstToken.low).toBeLessThan(speed.timeToFirstToken.value);
  });

  it("is that of the asked context unless told otherwise, and slower the deeper it is", async () => {
    const asked = await ask({ hardware: cards("nvidia-rtx-4090-24gb") });
    const deep = await ask({ hardware: cards("nvidia-rtx-4090-24gb") }, { depth: 4096, prompt: 4096 });
    const empty = await ask({ hardware: cards("nvidia-rtx-4090-24gb") }, { depth: 0, prompt: 4096 });
    expect(asked.speed).toEqual(deep.speed);
    expect(empty.speed.decode.value).toBeGreaterThan(deep.speed.decode.value);
    // 32 layers x 2 x 8 heads x 128 values x 2 bytes.
    expect(deep.speed.bytesPerToken - empty.speed.bytesPerToken).toBe(4096 * 131_072);
  });

  it("adds up over sequences until the card's arithmetic is what it waits for", async () => {
    const runtime = { vllm: {} };
    const input = { quant: "bf16", runtime, hardware: cards("nvidia-h100-sxm5-80gb") };
    const one = await ask(input, { depth: 1024 });
    const many = await ask({ ...input, sequences: 32 }, { depth: 1024 });
    expect(many.speed.throughput.value).toBeGreaterThan(10 * one.speed.throughput.value);
    expect(many.speed.decode.value).toBeLessThan(one.speed.decode.value);
    expect(many.speed.throughput.value).toBeCloseTo(32 * many.speed.decode.value, 6);
  });

  it("of layers in host memory follows the host's bandwidth", async () => {
    const input = {
      runtime: { llamaCpp: { gpuLayers: 10 } },
      hardware: cards("nvidia-rtx-3060-12gb"),
    };
    const usual = await ask(input);
    const server = await ask(input, { host: 400 });
    expect(usual.speed.limit).toBe("HOST_BANDWIDTH");
    expect(server.speed.decode.value).toBeGreaterThan(1.5 * usual.speed.decode.value);
  });

  it("is not told without hardware, nor of a card whose bandwidth nobody published", async () => {
    expect(await ask({})).toEqual({ speed: null, cost: null });
    const unknown = await ask({ hardware: cards("intel-arc-pro-b70-32gb") });
    expect(unknown.speed).toBeNull();
    expect(unknown.cost.usdPerMillionOutputTokens).toBeNull();
  });

  it("of reading needs a peak: Apple's newest chips are decoded on, and no more is said", async () => {
    const { speed } = await ask({ hardware: cards("apple-m5-32gb") });
    expect(speed.decode.value).toBeGreaterThan(0);
    expect(speed.prefill).toBeNull();
    expect(speed.timeToFirstToken).toBeNull();
  });

  it.each([
    ["depth", { depth: -1 }],
    ["promptTokens", { prompt: 0 }],
    ["hostBandwidth", { host: 0 }],
  ])("refuses a %s that makes no sense", async (name, more) => {
    const input = { model: { slug: "llama-3-8b" }, quant: "q4_k_m", hardware: cards("nvidia-rtx-4090-24gb") };
    const { errors } = await seeded.server.query(SPEED, { input, ...more });
    expect(errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT" });
    expect(errors?.[0]?.message).toContain(name);
  });
});

describe("cost", () => {
  it("is rent over throughput, and the months of it that buy the cards", async () => {
    const { cost, speed } = await ask({ hardware: cards("nvidia-rtx-4090-24gb", 2) });
    expect(cost.usdPerMillionOutputTokens).toBeCloseTo((cost.usdPerHour / (speed.throughput.value * 3600)) * 1e6, 9);
    expect(cost.usdPerMillionInputTokens).toBeCloseTo((cost.usdPerHour / (speed.prefill.value * 3600)) * 1e6, 9);
    expect(cost.usdPerMonth).toBeCloseTo(cost.usdPerHour * 730, 9);
    expect(cost.usdToBuy).toBe(3198);
    expect(cost.breakEvenMonths).toBeCloseTo(cost.usdToBuy / cost.usdPerMonth, 9);
  });

  it("of a system is the system's", async () => {
    const { data } = await seeded.server.query(`{ systems(first: 100) { nodes { slug usdPerHour gpu { slug } } } }`);
    const priced = data.systems.nodes.find((system: { usdPerHour: number | null }) => system.usdPerHour !== null);
    const { cost } = await ask({ hardware: { system: priced.slug } });
    expect(cost.usdPerHour).toBe(priced.usdPerHour);
    expect(cost.usdPerMillionOutputTokens).toBeGreaterThan(0);
  });
});

const HARDWARE = `query ($input: EstimateInput!, $after: String) {
  hardware(input: $input, sort: FASTEST, first: 100, after: $after) {
    nodes { gpu { slug bandwidth } count speed { throughput { value } decode { low value high } limit }
      cost(usdPerKwh: 0.3) { usdPerMillionOutputTokens electricityUsdPerMonth } }
    pageInfo { endCursor hasNextPage }
  }
}`;

describe("hardware", () => {
  it("is listed the fastest first, unknown speeds last, and no figure is out of the world", async () => {
    const input = { model: { slug: "llama-3.1-70b" }, quant: "q4_k_m", context: 8192 };
    const rates: (number | null)[] = [];
    let after: string | null = null;
    do {
      const { data, errors } = await seeded.server.query(HARDWARE, { input, after });
      expect(errors).toBeUndefined();
      for (const { speed } of data.hardware.nodes) {
        rates.push(speed?.throughput.value ?? null);
        if (speed !== null) {
          expect(speed.decode.low).toBeGreaterThan(0);
          expect(speed.decode.low).toBeLessThan(speed.decode.value);
          expect(speed.decode.high).toBeGreaterThan(speed.decode.value);
        }
      }
      after = data.hardware.pageInfo.hasNextPage ? data.hardware.pageInfo.endCursor : null;
    } while (after !== null);
    const known = rates.filter((rate) => rate !== null);
    expect(known.length).toBeGreaterThan(100);
    expect(rates.slice(0, known.length)).toEqual(known);
    expect(known).toEqual(known.toSorted((left, right) => right - left));
  });
});

describe("evidence", () => {
  it("of speed stands beside that of memory, by runtime and component", async () => {
    const { data } = await seeded.server.query(
      `{ accuracy(filter: { component: [DECODE_SPEED, PREFILL_SPEED] }) {
        byRuntime { runtime { slug } component count medianError }
      } }`,
    );
    const rows: { runtime: { slug: string }; component: string; count: number; medianError: number }[] =
      data.accuracy.byRuntime;
    expect(rows.map(({ runtime, component }) => `${runtime.slug} ${component}`)).toEqual([
      "llama-cpp DECODE_SPEED",
      "llama-cpp PREFILL_SPEED",
      "mlx DECODE_SPEED",
      "mlx PREFILL_SPEED",
      "sglang DECODE_SPEED",
      "transformers DECODE_SPEED",
      "vllm DECODE_SPEED",
    ]);
    for (const { medianError } of rows) expect(medianError).toBeLessThan(0.15);
  });

  it("of one measurement is its rates beside the estimate of the same run", async () => {
    const { data } = await seeded.server.query(
      `{ measurement(slug: "speed-llama-cpp-meta-llama-3-8b-q4-k-m-3080-10gb-x1-b1-c4096") {
        error comparisons { component measured estimated error } notComparedBecause
        estimate { speed(depth: 2048, promptTokens: 4096) { decode { value } prefill { value } } }
      } }`,
    );
    const { comparisons, error, estimate, notComparedBecause } = data.measurement;
    expect(notComparedBecause).toBeNull();
    expect(comparisons[0]).toMatchObject({ component: "DECODE_SPEED", measured: 98.67 });
    expect(comparisons[1]).toMatchObject({ component: "PREFILL_SPEED", measured: 2852.06 });
    expect(error).toBe(comparisons[0].error);
    expect(estimate.speed.decode.value).toBeCloseTo(comparisons[0].estimated, 6);
    expect(estimate.speed.prefill.value).toBeCloseTo(comparisons[1].estimated, 6);
  });
});
