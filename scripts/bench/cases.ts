import { spawnSync } from "node:child_process";
import type { Catalogue } from "../../src/data/catalogue.js";
import { estimate } from "../../src/estimator/estimate.js";
import type { EstimateRequest, RuntimeRequest } from "../../src/estimator/estimate.types.js";
import { createFormatFits } from "../../src/estimator/fit/format-fits.js";
import { unlessRefused } from "../../src/services/estimation/best-format.js";
import { describeDevice } from "../../src/services/estimation/devices.js";
import { ALL_HARDWARE } from "../../src/services/estimation/hardware-selection.js";
import { resolveRuntime } from "../../src/services/estimation/runtimes.js";
import type { RuntimeInput } from "../../src/services/estimation/types.js";
import { prepareAhead } from "../../src/services/runnable/prepare-ahead.js";
import { DEFAULT_SETTINGS } from "../../src/services/runnable/runnable.js";
import type { RunnableSettings, RunnableSort } from "../../src/services/runnable/types.js";
import { servicesFor } from "../../src/services/services.js";
import { enlarge, forgetful } from "./catalogues.js";
import { type Spread, spreadOf, timeOf, timeOfAsync } from "./measure.js";

/** One line of the table. Times are milliseconds of CPU. */
export interface Result extends Spread {
  name: string;
  /** What `median` (or `p95`, where it is named so) may be at most; null where there is no target. */
  target: number | null;
  note: string;
}

export interface Case {
  name: string;
  run(catalogue: Catalogue): Result[];
}

const CONTEXT = 8192;
const ON_ONE_DEVICE = { tensorParallel: 1, pipelineParallel: 1, expertParallel: false };
const VLLM: RuntimeInput = { vllm: { ...ON_ONE_DEVICE, enforceEager: false } };
const SGLANG: RuntimeInput = { sglang: { ...ON_ONE_DEVICE, dataParallelAttention: false } };
const GIVEN: RuntimeInput[] = [{}, VLLM, SGLANG];
const FORMATS: Partial<Record<RuntimeRequest["kind"], string>> = { "llama-cpp": "q4_k_m", vllm: "fp8", sglang: "fp8" };
const SEARCHED = ["llama-3.1-8b-instruct", "qwen3-235b-a22b", "deepseek-v3"];
const ROUNDS = 9;
const OFFLOAD_ROUNDS = 3;

const runtimesOf = (catalogue: Catalogue) => GIVEN.map((input) => resolveRuntime(input, ["runtime"], catalogue));

/** Every model in one format, each object seen for the first time, and then again. */
const estimates: Case = {
  name: "estimate",
  run: (catalogue) =>
    runtimesOf(catalogue).flatMap(({ request: runtime }) => {
      const pass = (times: number) => {
        const fresh = forgetful(catalogue);
        const scheme = fresh.quantFormats.bySlug.get(FORMATS[runtime.kind] ?? "")?.scheme;
        if (scheme === undefined) throw new Error(`the catalogue has no format for ${runtime.kind}`);
        const first: number[] = [];
        const again: number[] = [];
        for (const { architecture } of fresh.models.rows) {
          const request: EstimateRequest = { architecture, scheme, contextTokens: CONTEXT, sequences: 1, runtime };
          const time = timeOf(() => unlessRefused(() => estimate(request)));
          first.push(time);
          const repeated = timeOf(() => {
            for (let turn = 0; turn < times; turn += 1) unlessRefused(() => estimate(request));
          });
          again.push(repeated / times);
        }
        return { first, again };
      };
      pass(5);
      const { first, again } = pass(20);
      const models = `${first.length} models`;
      return [
        { name: `estimate, cold, ${runtime.kind}`, ...spreadOf(first), target: 1, note: `${models}, new objects` },
        { name: `estimate, warm, ${runtime.kind}`, ...spreadOf(again), target: 0.05, note: `${models}, 20 times each` },
      ];
    }),
};

/** All hardware for one estimate: of a model never seen, and at another context. */
const hardware: Case = {
  name: "hardware",
  run: (catalogue) => [
    ...GIVEN.flatMap((runtime) =>
      SEARCHED.flatMap((slug): Result[] => {
        const kind = Object.keys(runtime)[0] ?? "llamaCpp";
        const quant = kind === "llamaCpp" ? "q4_k_m" : "fp8";
        const first: number[] = [];
        const again: number[] = [];
        let found = 0;
        for (let round = 0; round <= ROUNDS; round += 1) {
          const { estimation } = servicesFor(forgetful(catalogue));
          const search = (context: number) => {
            const input = { model: { slug }, quant, context, sequences: 1, runtime };
            found = estimation.findHardware(estimation.estimate(input, [])).fits.length;
          };
          first.push(timeOf(() => search(CONTEXT)));
          again.push(timeOf(() => search(2 * CONTEXT)));
        }
        const note = `${quant}, ${found} fits; ${ROUNDS} rounds after one to warm up`;
        return [
          { name: `hardware, cold, ${kind}, ${slug}`, ...spreadOf(first.slice(1)), target: 50, note },
          { name: `hardware, warm, ${kind}, ${slug}`, ...spreadOf(again.slice(1)), target: 50, note },
        ];
      }),
    ),
    ...SEARCHED.map((slug): Result => {
      const times = Array.from({ length: OFFLOAD_ROUNDS + 1 }, () => {
        const { estimation } = servicesFor(forgetful(catalogue));
        const input = { model: { slug }, quant: "q4_k_m", context: CONTEXT, sequences: 1, runtime: {} };
        const selection = { ...ALL_HARDWARE, offload: ["EXPERTS", "LAYERS"] as const };
        return timeOf(() => estimation.findHardware(estimation.estimate(input, []), selection));
      });
      const note = `q4_k_m, experts and whole layers in host memory; ${OFFLOAD_ROUNDS} rounds after one to warm up`;
      return { name: `hardware, offload, ${slug}`, ...spreadOf(times.slice(1)), target: null, note };
    }),
  ],
};

/** What a process needs for a search of what given cards run, and for the same again. */
export interface FirstSearch {
  prepare: number;
  cold: number;
  again: number;
  found: number;
}

/** Asks the benchmark's program for one first search only, answered in JSON. */
export const FIRST_SEARCH = "--first-search";
/** Not the default, so that nothing of it is worked out ahead. */
const NEVER_ASKED = 20_480;
const PROCESSES = 3;

interface Setup {
  name: string;
  gpu: string;
  count: number;
  runtime: RuntimeInput;
  target: number | null;
}

/** The figures to reach are those of one GPU. */
const SETUPS: readonly Setup[] = (
  [
    ["llama.cpp", "nvidia-rtx-4090-24gb", {}],
    ["vllm", "nvidia-h100-sxm5-80gb", VLLM],
    ["sglang", "nvidia-h100-sxm5-80gb", SGLANG],
  ] as const
).flatMap(([name, gpu, runtime]) => [
  { name, gpu, count: 1, runtime, target: 250 },
  { name, gpu: "nvidia-h100-sxm5-80gb", count: 8, runtime, target: null },
]);

/** `runnable` over every model in every format that the runtime loads, in processes of their own. */
const runnable: Case = {
  name: "runnable",
  run: () =>
    SETUPS.flatMap(({ name: engine, gpu, count, target }, setup): Result[] => {
      const ask = (prepared: boolean) =>
        Array.from({ length: PROCESSES }, (): FirstSearch => {
          const args = [process.argv[1] ?? "", FIRST_SEARCH, String(setup), String(prepared)];
          return JSON.parse(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout);
        });
      const bare = ask(false);
      const ahead = ask(true);
      const name = `${engine}, ${count} x ${gpu}`;
      const note = `${bare[0]?.found} fit; ${PROCESSES} processes`;
      const prepare = Math.round(spreadOf(ahead.map((one) => one.prepare)).median);
      return [
        { name: `runnable, new, ${name}`, ...spreadOf(bare.map(({ cold }) => cold)), target, note },
        {
          name: `runnable, cold, ${name}`,
          ...spreadOf(ahead.map(({ cold }) => cold)),
          target,
          note: `${note} after the idle work of a server, ${prepare} ms; card and context never asked`,
        },
        { name: `runnable, again, ${name}`, ...spreadOf(ahead.map(({ again }) => again)), target: 20, note },
      ];
    }),
};

/** One such search; called in a process of its own. Again is with another order, which the first has not made. */
export async function firstSearch(catalogue: Catalogue, setup: number, prepared: boolean): Promise<FirstSearch> {
  const { gpu, count, runtime } = SETUPS[setup] as Setup;
  const service = servicesFor(catalogue).runnable;
  const settings: RunnableSettings = { ...DEFAULT_SETTINGS, context: NEVER_ASKED, runtime };
  const search = async (sort: RunnableSort) => {
    const page = await service.find({ hardware: { gpus: [{ gpu, count }] }, settings, sort, first: 20 });
    found = page.totalCount;
  };
  let found = 0;
  const prepare = prepared ? await timeOfAsync(() => prepareAhead(catalogue, new AbortController().signal)) : 0;
  const cold = await timeOfAsync(() => search("BALANCED"));
  const again = await timeOfAsync(() => search("SMALLEST"));
  return { prepare, cold, again, found };
}

const FACTORS = [1, 10, 100];

/** The same searches over 1, 10 and 100 times as many rows: time for each row should stay what it is. */
const growth: Case = {
  name: "growth",
  run: (catalogue) => [...growHardware(catalogue), ...growModels(catalogue)],
};

/** Rounds by how many times as many rows: of few there are enough to warm up and to see past the collector. */
const roundsOf = (factor: number): number => Math.max(5, Math.round((ROUNDS * 3) / factor));

function growHardware(catalogue: Catalogue): Result[] {
  return GIVEN.flatMap((runtime) => {
    const kind = Object.keys(runtime)[0] ?? "llamaCpp";
    const quant = kind === "llamaCpp" ? "q4_k_m" : "fp8";
    return FACTORS.map((factor): Result => {
      const larger = enlarge(catalogue, factor);
      const { estimation } = servicesFor(larger);
      const samples = Array.from({ length: roundsOf(factor) }, (_, round) => {
        const input = { model: { slug: "deepseek-v3" }, quant, context: CONTEXT + 256 * round, sequences: 1, runtime };
        return timeOf(() => estimation.findHardware(estimation.estimate(input, [])));
      });
      const rows = larger.gpus.rows.length + larger.systems.rows.length;
      return perRow(`growth, hardware, ${kind}, x${factor}`, spreadOf(samples.slice(1)), rows, "cards and systems");
    });
  });
}

/** Models in one format on one card, each round over objects that were never seen. */
function growModels(catalogue: Catalogue): Result[] {
  const { runtime, request } = resolveRuntime({}, ["runtime"], catalogue);
  const gpu = catalogue.gpus.bySlug.get("nvidia-rtx-4090-24gb");
  const scheme = catalogue.quantFormats.bySlug.get("q4_k_m")?.scheme;
  if (gpu === undefined || scheme === undefined) throw new Error("the catalogue lacks the card or the format");
  const devices = [describeDevice(gpu, runtime)];
  return FACTORS.map((factor): Result => {
    // A tenth of the models, so that a hundred times as many stay a matter of seconds.
    const rows = enlarge(catalogue, factor).models.rows.filter((_, index) => index % 10 === 0);
    const samples = Array.from({ length: roundsOf(factor) }, () => {
      const architectures = structuredClone(rows.map(({ architecture }) => architecture));
      return timeOf(() => {
        for (const architecture of architectures) {
          const fits = createFormatFits({
            architecture,
            contextTokens: CONTEXT,
            sequences: 1,
            runtime: request,
            devices,
          });
          unlessRefused(() => fits?.measure(scheme) ?? null);
        }
      });
    });
    return perRow(`growth, models, x${factor}`, spreadOf(samples.slice(1)), rows.length, "models in one format");
  });
}

function perRow(name: string, spread: Spread, rows: number, what: string): Result {
  const each = ((spread.median * 1000) / rows).toFixed(1);
  return { name, ...spread, target: null, note: `${rows} ${what}, ${each} us each` };
}

export const CASES: readonly Case[] = [estimates, hardware, runnable, growth];
