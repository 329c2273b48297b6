import type { Evidence } from "../../src/services/evidence/evidence.js";
import type { AccuracyGroupModel, AccuracyReportModel } from "../../src/services/evidence/report.js";
import { type AccuracyComponent, SPEED_COMPONENTS } from "../../src/services/evidence/types.js";

/** Worst cases listed by name. */
const WORST_LISTED = 25;

/** Groups as a table for a terminal. */
export function tableText(groups: readonly AccuracyGroupModel[]): string {
  const rows = [HEADINGS, ...groups.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")).join("\n");
}

const HEADINGS = ["runtime", "attention", "of", "figures", "bias", "median", "95%", "worst", "worst case"];

function cellsOf(group: AccuracyGroupModel): string[] {
  return [
    group.runtime.slug,
    group.attention ?? "all",
    group.component,
    String(group.count),
    percent(group.bias),
    percent(group.medianError),
    percent(group.p95Error),
    percent(group.worstError),
    group.worst.slug,
  ];
}

function percent(error: number): string {
  return `${(100 * error).toFixed(2)}%`;
}

/** The page docs/accuracy.md. */
export function describeReport(report: AccuracyReportModel, evidence: readonly Evidence[]): string {
  return [
    "# How far estimates are from what was measured",
    "",
    "Written by `npm run accuracy` from the measurements in `seed/measurements.json`: start-up logs and benchmark tables",
    "with their public sources. The code that answers estimates computes every figure here; the same report is",
    "`Query.accuracy` of the API, each measurement has its own `estimate`, `comparisons` and `error`, and the interval of",
    "an estimate (`Estimate.accuracy`) comes from the totals below, a measurement never vouching for itself.",
    "",
    "An error is estimated / measured - 1: above zero the estimate is too high. Bias is the median with its sign, median and",
    "95% are of the sizes. WEIGHTS, KV_POOL, COMPUTE and TOTAL of serving engines are of one device. DECODE_SPEED, PREFILL_SPEED",
    "and REQUEST_SPEED (prompt and answer together) are tokens per second.",
    "",
    `${report.compared} of ${report.measurements} measurements of memory and speed could be compared.`,
    "",
    "![estimated against measured](accuracy.svg)",
    "",
    "## By runtime",
    "",
    markdownTable(report.byRuntime),
    "",
    "## By runtime and kind of attention",
    "",
    markdownTable(report.groups),
    "",
    "## Worst cases",
    "",
    "| measurement | runtime | version | model | format | of | error |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...worstCases(evidence, (component) => !isSpeed(component)),
    "",
    "## Worst cases of speed",
    "",
    "| measurement | runtime | version | model | format | of | error |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...worstCases(evidence, isSpeed),
    "",
    "## Not compared",
    "",
    "| measurements | why |",
    "| --- | --- |",
    ...report.notCompared.map(({ count, reason }) => `| ${count} | ${reason} |`),
    "",
    "## What the figures rest on",
    "",
    "- llama.cpp's caches, weights and layer splits follow its rules to the byte; its compute buffers are those of the July",
    "  2026 build, and logs of other builds differ: graphs change from month to month.",
    "- vLLM's, SGLang's and TensorRT-LLM's activation peaks, CUDA graphs and communication buffers are constants of a version",
    "  fitted to such logs, some of them the ones below; weights, tokens per byte and page sizes are rules.",
    "- Speed is physics (bytes over bandwidth, operations over peak) with shares and launch times per engine, storage and",
    "  family of cards that `npm run fit-speed` fits to the figures below: llama.cpp's to llama-bench tables of May 2024, later",
    "  builds read prompts faster; vLLM's mostly to version 0.6.3 on one card; SGLang's to one card. With a whole model left",
    "  out of the fit the median error grows to",
    "  10.5% (Transformers), 6.9% (vLLM), 6.3% (SGLang) and 18.5% (MLX) for decoding, with a whole card to 5.0% (llama.cpp),",
    "  13.4% (MLX) and about 50% where that leaves none of its kind (vLLM, Transformers).",
    "- Some tables contradict themselves: F16 prefill on A100 SXM and L40S is a tenth of what the same table says of their",
    "  like, GPTQ mixtures in SGLang ran without fused kernels.",
    "- ExLlama's total includes a constant of the process fitted to the same few figures.",
    "",
  ].join("\n");
}

function markdownTable(groups: readonly AccuracyGroupModel[]): string {
  return [
    `| ${HEADINGS.join(" | ")} |`,
    `| ${HEADINGS.map(() => "---").join(" | ")} |`,
    ...groups.map((group) => `| ${cellsOf(group).join(" | ")} |`),
  ].join("\n");
}

function isSpeed(component: AccuracyComponent): boolean {
  return (SPEED_COMPONENTS as readonly string[]).includes(component);
}

function worstCases(evidence: readonly Evidence[], isListed: (component: AccuracyComponent) => boolean): string[] {
  return evidence
    .flatMap(({ measurement, runtime, comparisons }) =>
      comparisons
        .filter(({ component }) => isListed(component))
        .map((comparison) => ({ measurement, runtime, comparison })),
    )
    .sort((left, right) => Math.abs(right.comparison.error) - Math.abs(left.comparison.error))
    .slice(0, WORST_LISTED)
    .map(({ measurement, runtime, comparison }) => {
      const cells = [
        measurement.slug,
        runtime.slug,
        measurement.engineVersion ?? "not stated",
        measurement.modelName,
        measurement.quantName ?? "not stated",
        comparison.component,
        percent(comparison.error),
      ];
      return `| ${cells.map((cell) => cell.replaceAll("|", "/")).join(" | ")} |`;
    });
}
