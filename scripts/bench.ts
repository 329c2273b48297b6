// Measures how long estimates and searches take:
//
//   npm run bench                        every case
//   npm run bench -- --only hardware     cases whose name begins so: estimate, hardware, fits, growth
//
// Times are milliseconds of CPU, all threads of the process together, so that other work on the machine matters little;
// medians and 95th percentiles of the samples that the notes name. Everything but the first searches of new processes is
// measured after a pass to warm up. The last column compares with a fixed piece of work measured in the same run, before
// and after each case.
import { CASES } from "./bench/cases.js";
import { loadCatalogue } from "./bench/catalogues.js";
import { reference, spreadOf, timeOf } from "./bench/measure.js";

const REFERENCE_SAMPLES = 5;

const at = process.argv.indexOf("--only");
const only = at === -1 ? "" : (process.argv[at + 1] ?? "");
const chosen = CASES.filter(({ name }) => name.startsWith(only));
if (chosen.length === 0) {
  console.error(`There is no case "${only}"; there are ${CASES.map(({ name }) => name).join(", ")}.`);
  process.exit(1);
}

const catalogue = await loadCatalogue();
const measureReference = () => Array.from({ length: REFERENCE_SAMPLES }, () => timeOf(reference));
measureReference();

console.log(
  `${"case".padEnd(54)}${["median", "p95", "target", "ratio"].map((word) => word.padStart(10)).join("")}  notes`,
);
for (const { run } of chosen) {
  const before = measureReference();
  const results = run(catalogue);
  const unit = spreadOf([...before, ...measureReference()]).median;
  for (const { name, median, p95, target, note } of results) {
    const verdict = target === null ? "" : median <= target ? "" : " MISSED";
    const figures = [
      median.toFixed(3),
      p95.toFixed(3),
      target === null ? "-" : `< ${target}`,
      (median / unit).toFixed(4),
    ];
    console.log(`${name.padEnd(54)}${figures.map((figure) => figure.padStart(10)).join("")}  ${note}${verdict}`);
  }
}
