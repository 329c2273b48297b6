// Measures how long estimates and searches take; `scripts/bench.mjs` compiles and starts it.
//
// Times are milliseconds of CPU, all threads of the process together (the compiler's and the collector's too): medians
// and 95th percentiles of the samples that the notes name. Everything but the first searches of new processes is
// measured after a pass to warm up. The last column compares with a fixed piece of work that is measured in the same run,
// before and after each case: CPU time itself grows on a machine whose cores and caches are shared.
import { CASES, FIRST_SEARCH, firstSearch } from "./cases.js";
import { loadCatalogue } from "./catalogues.js";
import { reference, spreadOf, timeOf } from "./measure.js";

const REFERENCE_SAMPLES = 5;
const NAME_WIDTH = 56;
const FIGURE_WIDTH = 10;

async function measureFirstSearch([setup, prepared]: readonly string[]): Promise<void> {
  console.log(JSON.stringify(await firstSearch(await loadCatalogue(), Number(setup), prepared === "true")));
}

async function measure(only: string): Promise<void> {
  const chosen = CASES.filter(({ name }) => name.startsWith(only));
  if (chosen.length === 0) {
    console.error(`There is no case "${only}"; there are ${CASES.map(({ name }) => name).join(", ")}.`);
    process.exitCode = 1;
    return;
  }
  const catalogue = await loadCatalogue();
  const measureReference = () => Array.from({ length: REFERENCE_SAMPLES }, () => timeOf(reference));
  measureReference();
  printRow("case", ["median", "p95", "target", "ratio"], "notes");
  for (const { run } of chosen) {
    const before = measureReference();
    const results = run(catalogue);
    const unit = spreadOf([...before, ...measureReference()]).median;
    for (const { name, median, p95, target, note } of results) {
      const bound = target === null ? "-" : `${median <= target ? "" : "! "}< ${target}`;
      printRow(name, [median.toFixed(3), p95.toFixed(3), bound, (median / unit).toFixed(4)], note);
    }
    console.log(`the reference took ${unit.toFixed(1)} ms`);
  }
}

function printRow(name: string, figures: readonly string[], note: string): void {
  console.log(`${name.padEnd(NAME_WIDTH)}${figures.map((figure) => figure.padStart(FIGURE_WIDTH)).join("")}  ${note}`);
}

const args = process.argv.slice(2);
const at = args.indexOf("--only");
await (args[0] === FIRST_SEARCH ? measureFirstSearch(args.slice(1)) : measure(at === -1 ? "" : (args[at + 1] ?? "")));
