// Compares every measurement of the seed with the estimator:
//
//   npm run accuracy              prints a table, writes docs/accuracy.md, docs/accuracy.svg and docs/accuracy.json
//   npm run accuracy -- --check   writes nothing; fails when a figure is worse than docs/accuracy.json says
import { readFileSync, writeFileSync } from "node:fs";
import { createEvidenceService } from "../src/services/evidence/evidence.js";
import { reportAccuracy } from "../src/services/evidence/report.js";
import { prepareSeed, toCatalogue } from "../src/services/seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../src/services/seeding/read-seed.js";
import { plotFigures } from "./accuracy/plot.js";
import { findWorse, type RecordedGroup, recordGroups } from "./accuracy/record.js";
import { describeReport, tableText } from "./accuracy/text.js";

const PAGE = new URL("../docs/accuracy.md", import.meta.url);
const PLOT = new URL("../docs/accuracy.svg", import.meta.url);
const RECORD = new URL("../docs/accuracy.json", import.meta.url);

const { texts } = await readSeedFiles(SEED_FOLDER);
const evidence = createEvidenceService(toCatalogue(prepareSeed(texts))).all();
const report = reportAccuracy(evidence);
const groups = recordGroups(report);

console.log(tableText(report.byRuntime));
console.log(`${report.compared} of ${report.measurements} measurements of memory and speed compared.`);

if (process.argv.includes("--check")) {
  const recorded = JSON.parse(readFileSync(RECORD, "utf8")) as RecordedGroup[];
  const worse = findWorse(recorded, groups);
  for (const line of worse) console.error(line);
  if (worse.length > 0) {
    console.error("\nIf this is meant, `npm run accuracy` records the new figures; say why in the commit.");
    process.exitCode = 1;
  }
} else {
  writeFileSync(RECORD, `${JSON.stringify(groups, null, 2)}\n`);
  writeFileSync(PLOT, plotFigures(evidence));
  writeFileSync(PAGE, describeReport(report, evidence));
}
