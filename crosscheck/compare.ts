import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { estimate } from "../src/estimator/estimate.js";
import type { CacheType } from "../src/estimator/estimate.types.js";
import { EstimateError } from "../src/estimator/estimate-error.js";
import { GGML_TYPES, ggmlTypeByName, QuantizationError } from "../src/estimator/quantization/ggml-types.js";
import type { GgmlScheme } from "../src/estimator/quantization/scheme.js";
import { storeTensors } from "../src/estimator/quantization/store-tensors.js";
import { type Answer, type CacheLine, LlamaCpp } from "./ask-llama-cpp.js";
import { describeGguf, fileName } from "./describe-gguf.js";
import { type Case, catalogueCases, Dice, drawnCases } from "./draw-cases.js";
import { knownReason, knownRefusal, type Part } from "./known-differences.js";
import { encodeGgufHead } from "./write-gguf.js";

const MIB = 2 ** 20;
/** Half of the last digit that llama.cpp logs of a MiB, and a byte for binary rounding. */
const LOG_ROUNDING_BYTES = 0.005 * MIB + 1;
/** Shares of the truth that weights and compute may be off by. */
const WEIGHTS_TOLERANCE = 0.001;
const COMPUTE_TOLERANCE = { below: 0.02, above: 0.05 };
/** Processes that are asked at once. */
const PROCESSES = 2;
const EXIT_DIFFERENT = 1;

interface Figures {
  weights: number;
  kv: number;
  compute: number;
}

interface Difference {
  part: Part | "load";
  text: string;
  /** Why it is no error; null where it is one. */
  reason: string | null;
}

interface Comparison {
  subject: Case;
  ours: Figures | null;
  theirs: Figures | null;
  differences: Difference[];
}

const { values: options } = parseArgs({
  options: {
    sample: { type: "string", default: "40" },
    seed: { type: "string", default: "1" },
    catalogue: { type: "boolean", default: false },
    only: { type: "string", default: "" },
  },
});

/** Half of the sample from the catalogue, half drawn; the whole catalogue and as many drawn ones on request. */
function chooseCases(): Case[] {
  const dice = new Dice(Number(options.seed));
  const sample = Number(options.sample);
  const isWanted = ({ name, architecture }: Case): boolean =>
    `${architecture.ggufArchitecture} ${name}`.includes(options.only);
  const known = catalogueCases(dice).filter(isWanted);
  const cases = options.catalogue ? known : known.slice(0, Math.ceil(sample / 2));
  const drawn = drawnCases(dice);
  const target = options.catalogue ? cases.length + sample : sample;
  for (let attempt = 0; cases.length < target && attempt < 100 * sample; attempt += 1) {
    const subject = drawn.next().value as Case;
    if (isWanted(subject)) cases.push(subject);
  }
  return cases;
}

async function compareAll(cases: readonly Case[]): Promise<{ build: string; comparisons: Comparison[] }> {
  const comparisons = new Array<Comparison>(cases.length);
  let next = 0;
  let build = "";
  const work = async (worker: number): Promise<void> => {
    const started = await LlamaCpp.start();
    build = started.build;
    try {
      while (next < cases.length) {
        const index = next;
        next += 1;
        const subject = cases[index] as Case;
        comparisons[index] = await compareOne(started.llamaCpp, subject, join(folder, `${worker}.gguf`));
      }
    } finally {
      started.llamaCpp.close();
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, (_, worker) => work(worker)));
  return { build, comparisons };
}

async function compareOne(llamaCpp: LlamaCpp, subject: Case, file: string): Promise<Comparison> {
  const scheme: GgmlScheme = { kind: "ggml", fileType: subject.fileType };
  const { architecture, run } = subject;
  let ours: Figures;
  try {
    const stored = storeTensors(architecture, scheme);
    const tensors = stored.flatMap(({ tensor, type, bytes }) => {
      const name = fileName(architecture, tensor.name);
      return name === null ? [] : [{ name, shape: tensor.shape, type, bytes }];
    });
    writeFileSync(file, encodeGgufHead(describeGguf(architecture), tensors));
    ours = estimated(subject, scheme);
  } catch (error) {
    const isRefusal = error instanceof EstimateError || error instanceof QuantizationError;
    const reason = isRefusal ? "the estimator refuses it" : null;
    return { subject, ours: null, theirs: null, differences: [{ part: "load", text: String(error), reason }] };
  }
  const answer = await llamaCpp.ask({ file, run });
  if (answer.kind !== "answered") {
    const text = `${answer.kind}: ${answer.reason}`;
    return { subject, ours, theirs: null, differences: [refused(subject, text)] };
  }
  const theirs = answered(answer, ours);
  return { subject, ours, theirs, differences: listDifferences(subject, ours, theirs, answer.caches) };
}

/** The estimator's figures with everything in host memory, where the package's binary computes. */
function estimated({ architecture, run }: Case, scheme: GgmlScheme): Figures {
  const { host, kvCache } = estimate({
    architecture,
    scheme,
    contextTokens: run.contextTokens,
    sequences: run.sequences,
    cacheTypeK: cacheType(run.cacheType),
    devices: [],
    runtime: {
      kind: "llama-cpp",
      settings: {
        ubatchSize: run.ubatchTokens,
        batchSize: run.ubatchTokens,
        flashAttention: run.flashAttention,
        outputRows: run.ubatchTokens,
        kvUnified: false,
        swaFull: run.swaFull,
        cpuMoeLayers: 0,
        splitMode: "LAYER",
      },
    },
  });
  return { weights: host.weights, kv: kvCache.bytes, compute: host.compute };
}

function cacheType(name: string): CacheType {
  return { slug: name.toLowerCase(), ...GGML_TYPES[ggmlTypeByName(name)] };
}

/** llama.cpp tells caches and compute exactly in one sum, and compute alone rounded. */
function answered(answer: Answer & { kind: "answered" }, ours: Figures): Figures {
  const logged = answer.computeMib * MIB;
  const rest = answer.contextBytes - ours.kv;
  const agrees = Math.abs(rest - logged) <= LOG_ROUNDING_BYTES;
  const compute = agrees ? rest : logged;
  return { weights: answer.modelBytes, kv: answer.contextBytes - compute, compute };
}

function listDifferences(subject: Case, ours: Figures, theirs: Figures, caches: readonly CacheLine[]): Difference[] {
  const differing: Part[] = [];
  if (Math.abs(ours.weights / theirs.weights - 1) > WEIGHTS_TOLERANCE) differing.push("weights");
  if (ours.kv !== theirs.kv) differing.push("kv");
  const compute = ours.compute / theirs.compute - 1;
  if (compute < -COMPUTE_TOLERANCE.below || compute > COMPUTE_TOLERANCE.above) differing.push("compute");
  return differing.map((part) => ({
    part,
    text: shares(ours[part], theirs[part]) + (part === "kv" ? describeCaches(caches) : ""),
    reason: knownReason(subject, part, ours[part], theirs[part]) ?? null,
  }));
}

function describeCaches(caches: readonly CacheLine[]): string {
  return `; logged ${caches.map(({ mib, cells, layers }) => `${mib} MiB (${cells} cells, ${layers} layers)`).join(" + ")}`;
}

/** A drawn model may be one that llama.cpp has no way to load; a model of the catalogue may not. */
function refused(subject: Case, text: string): Difference {
  const impossible = subject.isDrawn ? "a drawn model that its loader cannot be told of" : null;
  return { part: "load", text, reason: knownRefusal(subject) ?? impossible };
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(2);
}

function percent(ours: number, theirs: number): string {
  if (ours === theirs) return "=";
  const share = 100 * (ours / theirs - 1);
  return `${share < 0 ? "" : "+"}${share.toFixed(2)}%`;
}

function shares(ours: number, theirs: number): string {
  return `${mib(ours)} MiB, llama.cpp ${mib(theirs)} (${percent(ours, theirs)})`;
}

function describeRun({ run }: Case): string {
  return [
    `${run.contextTokens}x${run.sequences}`,
    `ub ${run.ubatchTokens}`,
    run.cacheType.toLowerCase(),
    ...(run.flashAttention ? [] : ["no fa"]),
    ...(run.swaFull ? ["swa-full"] : []),
  ].join(" ");
}

function report(build: string, comparisons: readonly Comparison[], seconds: number): void {
  console.log(`llama.cpp ${build}, ${comparisons.length} cases, seed ${options.seed}\n`);
  console.log(row(["architecture", "file type", "run", "weights", "KV", "compute", "model"]));
  for (const { subject, ours, theirs, differences } of comparisons) {
    const figures =
      ours && theirs
        ? [percent(ours.weights, theirs.weights), percent(ours.kv, theirs.kv), percent(ours.compute, theirs.compute)]
        : ["-", "-", "-"];
    console.log(
      row([
        subject.architecture.ggufArchitecture ?? "",
        subject.fileType,
        describeRun(subject),
        ...figures,
        subject.name,
      ]),
    );
    for (const { part, text, reason } of differences) {
      console.log(`    ${reason === null ? "DIFFERENT" : "known"} ${part}: ${text}${reason ? ` - ${reason}` : ""}`);
    }
  }
  const all = comparisons.flatMap(({ differences }) => differences);
  const errors = all.filter(({ reason }) => reason === null);
  const equal = comparisons.filter(({ differences }) => differences.length === 0);
  console.log(
    `\n${equal.length} of ${comparisons.length} within bounds, ${all.length - errors.length} known differences, ` +
      `${errors.length} errors; ${seconds.toFixed(0)} s`,
  );
  if (errors.length > 0) process.exitCode = EXIT_DIFFERENT;
}

const WIDTHS = [15, 9, 32, 9, 9, 9, 0];

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0)).join(" ");
}

const folder = mkdtempSync(join(tmpdir(), "crosscheck-"));
try {
  const started = performance.now();
  const { build, comparisons } = await compareAll(chooseCases());
  report(build, comparisons, (performance.now() - started) / 1000);
} finally {
  rmSync(folder, { recursive: true });
}
