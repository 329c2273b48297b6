import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHECKPOINT_FORMATS, drawnModel } from "../../test/fixtures/drawn-models.js";
import { catalogue } from "../../test/fixtures/local-runtimes/catalogue.js";
import type { Architecture } from "./architecture/architecture.js";
import { estimate } from "./estimate.js";
import type { Device, EstimateRequest, MemoryEstimate, RuntimeRequest } from "./estimate.types.js";
import { legalPlans, type ParallelPlan, type ServingEngine } from "./placement/parallel-plans.js";
import type { QuantScheme } from "./quantization/scheme.js";
import { readExllamaConstants } from "./runtimes/exllama/read-exllama-constants.js";
import { readMlxConstants } from "./runtimes/mlx/read-mlx-constants.js";
import { readSglangConstants } from "./runtimes/sglang/read-sglang-constants.js";
import { readTensorrtLlmConstants } from "./runtimes/tensorrt-llm/read-tensorrt-llm-constants.js";
import { readTransformersConstants } from "./runtimes/transformers/read-transformers-constants.js";
import { readVllmConstants } from "./runtimes/vllm/read-vllm-constants.js";

/* What holds of every estimate of the engines that load checkpoints, over models drawn from all families. */

type Engine = Exclude<RuntimeRequest["kind"], "llama-cpp" | "rule-of-thumb">;

const VLLM = readVllmConstants(catalogue.constants("vllm"));
const SGLANG = readSglangConstants(catalogue.constants("sglang"));
const TENSORRT_LLM = readTensorrtLlmConstants(catalogue.constants("tensorrt-llm"));
const TRANSFORMERS = readTransformersConstants(catalogue.constants("transformers"));
const MLX = readMlxConstants(catalogue.constants("mlx"));
const EXLLAMA = readExllamaConstants(catalogue.constants("exllama"));

const RUNTIMES: Readonly<Record<Engine, (plan: ParallelPlan) => RuntimeRequest>> = {
  vllm: (plan) => ({ kind: "vllm", settings: { ...plan, enforceEager: false }, constants: VLLM }),
  sglang: (plan) => ({ kind: "sglang", settings: { ...plan, dataParallelAttention: false }, constants: SGLANG }),
  "tensorrt-llm": (plan) => ({ kind: "tensorrt-llm", settings: plan, constants: TENSORRT_LLM }),
  transformers: () => ({ kind: "transformers", settings: { attention: "SDPA" }, constants: TRANSFORMERS }),
  mlx: () => ({ kind: "mlx", settings: {}, constants: MLX }),
  exllama: () => ({ kind: "exllama", settings: {}, constants: EXLLAMA }),
};
const SERVING: ServingEngine[] = ["vllm", "sglang", "tensorrt-llm"];
const LOCAL: Engine[] = ["transformers", "mlx", "exllama"];
const ALONE: ParallelPlan = { tensorParallel: 1, pipelineParallel: 1, expertParallel: false };
const [BF16] = CHECKPOINT_FORMATS as [QuantScheme];

const question = fc.record({
  architecture: drawnModel,
  scheme: fc.constantFrom<QuantScheme>(...CHECKPOINT_FORMATS),
  devices: fc.constantFrom<number>(1, 2, 3, 4, 8),
  gib: fc.constantFrom(null, 24, 80),
  sequences: fc.integer({ min: 1, max: 4 }),
  context: fc.integer({ min: 1, max: 65_536 }),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;

function ask(asked: Question, engine: Engine, plan: ParallelPlan, change: Partial<EstimateRequest> = {}) {
  const device: Device = { name: "card", capacityBytes: asked.gib === null ? null : asked.gib * 2 ** 30 };
  return estimate({
    architecture: asked.architecture,
    scheme: asked.scheme,
    contextTokens: asked.context,
    sequences: asked.sequences,
    devices: new Array<Device>(asked.devices).fill(device),
    runtime: RUNTIMES[engine](plan),
    ...change,
  });
}

/** Every plan of an engine over the devices asked for; engines without plans have one. */
const plansOf = ({ architecture, scheme, devices }: Question, engine: Engine): ParallelPlan[] =>
  isServing(engine) ? legalPlans(architecture, scheme, devices, engine) : [ALONE];

const isServing = (engine: Engine): engine is ServingEngine => (SERVING as Engine[]).includes(engine);

/** Checks a property over the same questions on every run. */
function holds(seed: number, property: (asked: Question) => void, numRuns = 40): void {
  fc.assert(fc.property(question, property), { seed, numRuns });
}

const sumOf = <T>(items: readonly T[], figureOf: (item: T) => number): number =>
  items.reduce((sum, item) => sum + figureOf(item), 0);

/** Sums of shares such as a third of a matrix differ in their last bits. */
const EXACT = 6;
const expectSame = (actual: number, expected: number): void => {
  expect(expected === 0 ? actual : actual / expected).toBeCloseTo(expected === 0 ? 0 : 1, EXACT);
};

const heldWeights = (memory: MemoryEstimate): number =>
  sumOf(memory.devices, (device) => device.weights) + memory.host.weights;

describe.each([...SERVING, ...LOCAL])("every model on %s", (engine) => {
  it("is answered under every legal plan, and the parts are the whole", () => {
    holds(1, (asked) => {
      for (const plan of plansOf(asked, engine)) {
        const memory = ask(asked, engine, plan);
        for (const { weights, kvCache, compute, overhead, total } of memory.devices) {
          expectSame(weights + kvCache + compute + overhead, total);
          for (const part of [weights, kvCache, compute, overhead]) expect(part).toBeGreaterThanOrEqual(0);
        }
        expectSame(
          sumOf(memory.devices, (device) => device.total),
          memory.total,
        );
        expectSame(
          sumOf(memory.devices, (device) => device.kvCache),
          memory.kvCache.bytes,
        );
        expectSame(
          sumOf(memory.kvCache.groups, (group) => group.bytes),
          memory.kvCache.bytes,
        );
        expectSame(
          sumOf(memory.weights.byRole, (role) => role.bytes),
          memory.weights.bytes,
        );
        expect(memory.steps.every(({ formula, result }) => !/NaN|undefined/.test(formula + result))).toBe(true);
      }
    });
  });

  it("needs no less for more context", () => {
    holds(2, (asked) => {
      for (const plan of plansOf(asked, engine)) {
        const less = ask(asked, engine, plan);
        const more = ask(asked, engine, plan, { contextTokens: 2 * asked.context });
        expect(more.kvCache.bytes).toBeGreaterThanOrEqual(less.kvCache.bytes);
        expect(more.total).toBeGreaterThanOrEqual(less.total);
      }
    });
  });

  it("holds no more weights in a format of fewer bits", () => {
    holds(3, (asked) => {
      let previous = Number.POSITIVE_INFINITY;
      for (const scheme of CHECKPOINT_FORMATS) {
        const weights = heldWeights(ask({ ...asked, devices: 1 }, engine, ALONE, { scheme }));
        expect(weights).toBeLessThanOrEqual(previous);
        previous = weights;
      }
    });
  });
});

describe("splitting loses no tensor", () => {
  /** Every stage has the model's rotary tables: 2 or 4 bytes a value, four times the positions where they have sections. */
  const mostRotaryBytes = ({ rotaryTables = [] }: Architecture): number =>
    rotaryTables.reduce((sum, { width, positions }) => sum + 8 * width * positions, 0);

  /** A tied embedding is held a second time as output matrix. */
  const tiedBytes = ({ tiedEmbeddings, hasOutput, vocabularySize, hiddenSize }: Architecture): number =>
    tiedEmbeddings && hasOutput ? 2 * vocabularySize * hiddenSize : 0;

  it.each(SERVING)("%s: stages hold what one device holds, a tied embedding on the first and the last", (engine) => {
    holds(4, (asked) => {
      const { architecture } = asked;
      const plan = { ...ALONE, pipelineParallel: asked.devices };
      if (asked.devices === 1 || architecture.layers.length < asked.devices) return;
      const whole = heldWeights(ask({ ...asked, devices: 1 }, engine, ALONE));
      const extra = heldWeights(ask(asked, engine, plan)) - whole;
      const tied = tiedBytes(architecture);
      expect(extra).toBeGreaterThanOrEqual(tied);
      // Allocators round large matrices up to 2 MiB.
      const tables = mostRotaryBytes(architecture);
      const rounding = tied === 0 && tables === 0 ? 0 : 2 ** 21;
      expect(extra).toBeLessThanOrEqual(tied + (asked.devices - 1) * tables + rounding * asked.devices);
    });
  });

  it.each(SERVING)("%s: tensor-parallel devices hold all of it together, and none more than the whole", (engine) => {
    holds(5, (asked) => {
      const [whole = 0] = ask({ ...asked, devices: 1 }, engine, ALONE).devices.map(({ weights }) => weights);
      for (const plan of plansOf(asked, engine)) {
        const memory = ask(asked, engine, plan);
        expect(heldWeights(memory)).toBeGreaterThanOrEqual(memory.weights.bytes * (1 - 1e-9));
        for (const { weights } of memory.devices) expect(weights).toBeLessThanOrEqual(whole);
      }
    });
  });

  it("transformers and exllama: each layer once", () => {
    holds(6, (asked) => {
      for (const engine of ["transformers", "exllama"] as const) {
        const alone = ask({ ...asked, devices: 1 }, engine, ALONE);
        const memory = ask(asked, engine, ALONE);
        expectSame(heldWeights(memory), heldWeights(alone));
        expect(sumOf(memory.devices, (device) => device.layers)).toBe(asked.architecture.layers.length);
      }
    });
  });

  it("mlx: layers once, embedding and output on every machine", () => {
    holds(7, (asked) => {
      const [one = 0, two = 0, three = 0] = [1, 2, 3].map((devices) => {
        const memory = ask({ ...asked, devices }, "mlx", ALONE, { scheme: BF16 });
        expect(sumOf(memory.devices, (device) => device.layers)).toBe(asked.architecture.layers.length);
        return heldWeights(memory);
      });
      expectSame(three - two, two - one);
      expect(two - one).toBeGreaterThanOrEqual(2 * asked.architecture.vocabularySize * asked.architecture.hiddenSize);
    });
  });
});
