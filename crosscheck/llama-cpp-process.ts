/**
 * The process that llama.cpp runs in: it takes questions from its parent and answers them one at a time. A process
 * of its own, because llama.cpp ends the whole process where it asserts something that a file does not fulfil.
 *
 * llama.cpp is asked through node-llama-cpp's binding, as the package's own V2 estimate asks it: model and context
 * are created with `noAlloc`, so that every buffer is laid out and none is allocated. The estimate itself keeps
 * llama.cpp's log to itself, which is the only place that tells cache and compute buffers apart.
 */
import { getLlama, LlamaLogLevel } from "node-llama-cpp";
import type { Answer, CacheLine, Question } from "./ask-llama-cpp.js";

/** The part of the binding used here (node-llama-cpp, dist/bindings/AddonTypes.d.ts). */
interface Binding {
  AddonGgufMetadata: new () => { init(sources: string[]): Promise<void>; dispose(): Promise<void> };
  AddonModel: new (
    path: string,
    options: object,
  ) => {
    init(metadata: object): Promise<boolean>;
    dispose(): Promise<void>;
    getMemoryBreakdown(): Breakdown;
  };
  AddonContext: new (
    model: object,
    options: object,
  ) => {
    init(): Promise<boolean>;
    dispose(): Promise<void>;
    getMemoryBreakdown(): Breakdown;
  };
  getGgmlType(name: string): number | undefined;
}

interface Breakdown {
  cpuRam: number;
  gpuVram: number;
}

const lines: { level: LlamaLogLevel; text: string }[] = [];
const llama = await getLlama({
  gpu: false,
  build: "never",
  logLevel: LlamaLogLevel.info,
  logger: (level, text) => lines.push({ level, text }),
});
const binding = (llama as unknown as { _bindings: Binding })._bindings;

process.on("message", (question: Question) => {
  void answer(question);
});
process.send?.({ kind: "ready", build: llama.llamaCppRelease.release });

async function answer(question: Question): Promise<void> {
  let message: Answer;
  try {
    message = await ask(question);
  } catch (error) {
    message = { kind: "refused", reason: await reasonOf(error) };
  }
  process.send?.(message);
}

async function ask({ file, run }: Question): Promise<Answer> {
  lines.length = 0;
  const metadata = new binding.AddonGgufMetadata();
  const model = new binding.AddonModel("", { gpuLayers: 0, useMmap: false, noAlloc: true });
  try {
    await metadata.init([file]);
    if (!(await model.init(metadata))) throw new Error("The model was not loaded.");
    const context = new binding.AddonContext(model, {
      contextSize: run.contextTokens * run.sequences,
      batchSize: run.ubatchTokens,
      sequences: run.sequences,
      flashAttention: run.flashAttention,
      swaFullCache: run.swaFull,
      kvCacheKeyType: binding.getGgmlType(run.cacheType),
      kvCacheValueType: binding.getGgmlType(run.cacheType),
    });
    try {
      if (!(await context.init())) throw new Error("The context was not created.");
      const computeMib = await loggedComputeMib();
      return {
        kind: "answered",
        modelBytes: total(model.getMemoryBreakdown()),
        contextBytes: total(context.getMemoryBreakdown()),
        caches: lines.flatMap(({ text }) => parseCacheLine(text)),
        computeMib,
      };
    } finally {
      await context.dispose();
    }
  } finally {
    await model.dispose();
    await metadata.dispose();
  }
}

function total({ cpuRam, gpuVram }: Breakdown): number {
  return cpuRam + gpuVram;
}

const LOG_ATTEMPTS = 100;

/** Log lines arrive by themselves; those on compute buffers come last. */
async function loggedComputeMib(): Promise<number> {
  for (let attempt = 0; attempt < LOG_ATTEMPTS; attempt += 1) {
    const sizes = lines.flatMap(({ text }) => [...text.matchAll(/compute buffer size = +([\d.]+) MiB/g)]);
    if (sizes.length > 0 && lines.some(({ text }) => text.includes("reserve took"))) {
      return sizes.reduce((sum, match) => sum + Number(match[1]), 0);
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("llama.cpp did not log its compute buffers.");
}

/** e.g. "llama_kv_cache: size = 1152.00 MiB (  8192 cells,  36 layers, ..." and, of recurrent state, the same. */
const CACHE_LINE = /size = +([\d.]+) MiB \( *(\d+) cells, +(\d+) layers/;
/** e.g. "... DSV4 ... ratio = 4, state = 8 x 1024, streams = 1, rs_seq = 0, layers = 21, size =    1.31 MiB". */
const STATE_LINE = /layers = (\d+), size = +([\d.]+) MiB/;

function parseCacheLine(text: string): CacheLine[] {
  const cache = CACHE_LINE.exec(text);
  if (cache) return [{ mib: Number(cache[1]), cells: Number(cache[2]), layers: Number(cache[3]) }];
  const state = STATE_LINE.exec(text);
  return state ? [{ mib: Number(state[2]), cells: null, layers: Number(state[1]) }] : [];
}

/** Log lines about a refusal arrive a moment after it. */
const REFUSAL_WAIT_MS = 20;

async function reasonOf(error: unknown): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, REFUSAL_WAIT_MS));
  const told = lines.filter(({ level }) => level === LlamaLogLevel.error).map(({ text }) => text.trim());
  return [...told, error instanceof Error ? error.message : String(error)].join("; ");
}
