import { spawnSync } from "node:child_process";
import type { Catalogue } from "../../src/data/catalogue.js";
import type { ModelRow } from "../../src/data/rows.js";
import type { Architecture } from "../../src/estimator/architecture/architecture.js";
import { estimate } from "../../src/estimator/estimate.js";
import type { Device, EstimateRequest, RuntimeRequest } from "../../src/estimator/estimate.types.js";
import { createFormatFits, type FormatFits } from "../../src/estimator/fit/format-fits.js";
import { createServingFits } from "../../src/estimator/fit/serving-fits.js";
import { onceFor } from "../../src/estimator/once-for.js";
import { prepareModel } from "../../src/estimator/prepared-model.js";
import type { QuantScheme } from "../../src/estimator/quantization/scheme.js";
import { loadableFormats, unlessRefused } from "../../src/services/estimation/best-format.js";
import { describeDevice } from "../../src/services/estimation/devices.js";
import { resolveRuntime } from "../../src/services/estimation/runtimes.js";
import { storageOfFormat } from "../../src/services/estimation/storage.js";
import type { RuntimeInput } from "../../src/services/estimation/types.js";
import { servicesFor } from "../../src/services/services.js";
import { enlarge, forgetful } from "./catalogues.js";
import { type Spread, spreadOf, timeOf } from "./measure.js";

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
const GIVEN: RuntimeInput[] = [
  {},
  { vllm: { tensorParallel: 1, pipelineParallel: 1, expertParallel: false, enforceEager: false } },
];
const FORMATS: Partial<Record<RuntimeRequest["kind"], string>> = { "llama-cpp": "q4_k_m", vllm: "fp8" };
const SEARCHED = ["llama-3.1-8b-instruct", "qwen3-235b-a22b", "deepseek-v3"];
const ROUNDS = 9;

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
  run: (catalogue) =>
    GIVEN.flatMap((runtime) =>
      SEARCHED.flatMap((slug): Result[] => {
        const kind = Object.keys(runtime)[0] ?? "llamaCpp";
        const quant = kind === "vllm" ? "fp8" : "q4_k_m";
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
};

/** What a process needs for its first and next search of what given cards run. */
export interface FirstSearch {
  prepare: number;
  cold: number;
  again: number;
  pairs: number;
}

/** Asks the benchmark's program for one first search only, answered in JSON. */
export const FIRST_SEARCH = "--first-search";
const SETUPS = [
  { runtime: 0, gpu: "nvidia-rtx-4090-24gb", count: 1 },
  { runtime: 0, gpu: "nvidia-h100-sxm5-80gb", count: 8 },
  { runtime: 1, gpu: "nvidia-h100-sxm5-80gb", count: 1 },
  { runtime: 1, gpu: "nvidia-h100-sxm5-80gb", count: 8 },
] as const;

/** Every model in every format that the runtime loads, against given cards, in processes of their own. */
const fits: Case = {
  name: "fits",
  run: () =>
    SETUPS.flatMap(({ gpu, count }, setup): Result[] => {
      const ask = (prepared: boolean) =>
        Array.from({ length: 3 }, (): FirstSearch => {
          const args = [process.argv[1] ?? "", FIRST_SEARCH, String(setup), String(prepared)];
          return JSON.parse(spawnSync(process.execPath, args, { encoding: "utf8" }).stdout);
        });
      const bare = ask(false);
      const ahead = ask(true);
      const kind = SETUPS[setup]?.runtime === 0 ? "llama-cpp" : "vllm";
      const name = `${kind}, ${count} x ${gpu}`;
      const note = `${bare[0]?.pairs} pairs; 3 new processes`;
      const prepare = Math.round(spreadOf(ahead.map((one) => one.prepare)).median);
      return [
        { name: `fits, first, ${name}`, ...spreadOf(bare.map(({ cold }) => cold)), target: null, note },
        {
          name: `fits, prepared, ${name}`,
          ...spreadOf(ahead.map(({ cold }) => cold)),
          target: 250,
          note: `${note}; weights laid out before, ${prepare} ms`,
        },
        { name: `fits, again, ${name}`, ...spreadOf(ahead.map(({ again }) => again)), target: 20, note },
      ];
    }),
};

/** One such search; called in a process of its own. */
export function firstSearch(catalogue: Catalogue, setup: number, prepared: boolean): FirstSearch {
  const { runtime: engine, gpu: slug, count } = SETUPS[setup] ?? SETUPS[0];
  const { runtime, request } = runtimesOf(catalogue)[engine] as ReturnType<typeof resolveRuntime>;
  const formats = loadableFormats(catalogue, runtime, request.kind);
  const gpu = catalogue.gpus.bySlug.get(slug);
  if (gpu === undefined) throw new Error(`the catalogue has no card ${slug}`);
  const devices = new Array<Device>(count).fill(describeDevice(gpu, runtime));
  const { rows } = catalogue.models;
  const forAll = (ask: (row: ModelRow, scheme: QuantScheme) => void) => {
    for (const row of rows) {
      for (const format of formats) unlessRefused(() => ask(row, storageOfFormat(format, row, catalogue).scheme));
    }
  };
  const prepare = prepared ? timeOf(() => forAll((row, scheme) => prepareModel(row.architecture, scheme))) : 0;
  const fitsOf = onceFor((architecture: Architecture) => fitsAt(architecture, request, devices));
  const search = () => forAll((row, scheme) => fitsOf(row.architecture)?.fitOf(scheme));
  return { prepare, cold: timeOf(search), again: timeOf(search), pairs: rows.length * formats.length };
}

function fitsAt(architecture: Architecture, runtime: RuntimeRequest, devices: Device[]): FormatFits | null {
  const request = { architecture, contextTokens: CONTEXT, sequences: 1, runtime, devices };
  return createFormatFits(request) ?? createServingFits(request);
}

const FACTORS = [1, 10, 100];

/** The same searches over 1, 10 and 100 times as many rows: time for each row should stay what it is. */
const growth: Case = {
  name: "growth",
  run: (catalogue) => [...growHardware(catalogue), ...growModels(catalogue)],
};

function growHardware(catalogue: Catalogue): Result[] {
  return GIVEN.flatMap((runtime) => {
    const kind = Object.keys(runtime)[0] ?? "llamaCpp";
    const quant = kind === "vllm" ? "fp8" : "q4_k_m";
    return FACTORS.map((factor): Result => {
      const larger = enlarge(catalogue, factor);
      const { estimation } = servicesFor(larger);
      const samples = Array.from({ length: 4 }, (_, round) => {
        const input = { model: { slug: "deepseek-v3" }, quant, context: CONTEXT + 256 * round, sequences: 1, runtime };
        return timeOf(() => estimation.findHardware(estimation.estimate(input, [])));
      });
      const rows = larger.gpus.rows.length + larger.systems.rows.length;
      const spread = spreadOf(samples.slice(1));
      const note = `${rows} cards and systems, ${((spread.median * 1000) / rows).toFixed(1)} us each`;
      return { name: `growth, hardware, ${kind}, x${factor}`, ...spread, target: null, note };
    });
  });
}

function growModels(catalogue: Catalogue): Result[] {
  const { runtime, request } = resolveRuntime({}, ["runtime"], catalogue);
  const gpu = catalogue.gpus.bySlug.get("nvidia-rtx-4090-24gb");
  const scheme = catalogue.quantFormats.bySlug.get("q4_k_m")?.scheme;
  if (gpu === undefined || scheme === undefined) throw new Error("the catalogue lacks the card or the format");
  return FACTORS.map((factor): Result => {
    // A tenth of the models, so that a hundred times as many stay a matter of seconds.
    const rows = enlarge(catalogue, factor).models.rows.filter((_, index) => index % 10 === 0);
    const devices = [describeDevice(gpu, runtime)];
    const time = timeOf(() => {
      for (const { architecture } of rows) unlessRefused(() => fitsAt(architecture, request, devices)?.measure(scheme));
    });
    const note = `${rows.length} models in one format, ${((time * 1000) / rows.length).toFixed(1)} us each`;
    return { name: `growth, fits, x${factor}`, median: time, p95: time, target: null, note };
  });
}

export const CASES: readonly Case[] = [estimates, hardware, fits, growth];
