/*
 * Edits a catalogue without end, until it is killed: `edit-catalogue.ts <run> <folder or URL of a database>`. Each edit
 * writes three runtimes, and is told on a line once it is acknowledged: "acknowledged <version> <number>".
 */
import { openDatabase } from "../../../src/data/database.js";
import { migrate } from "../../../src/data/migrate.js";
import { createCatalogueSource } from "../../../src/data/snapshot.js";
import { createEditingService } from "../../../src/services/editing/editing.js";
import { EDIT_FORMS } from "../../../src/services/editing/forms.js";
import { planUpsert } from "../../../src/services/editing/plan.js";

const [run = "", place = ""] = process.argv.slice(2);
const isUrl = place.startsWith("postgres");
const database = await openDatabase(isUrl ? { kind: "postgres", url: place } : { kind: "embedded", folder: place });
await migrate(database);
const editing = createEditingService(database, await createCatalogueSource(database));
const actor = { name: "somebody", role: "EDITOR", tokenId: null, isAnonymous: false } as const;
process.stdout.write("editing\n");

for (let number = 1; ; number++) {
  const inputs = ["a", "b", "c"].map((name) => ({
    slug: `row-${name}`,
    name: `${run} ${number}`,
    engineVersion: "1",
    constants: {},
    summary: "made up",
    sources: [{ title: "made up" }],
  }));
  const { catalogue, problems } = await editing.edit(planUpsert(EDIT_FORMS.Runtime, inputs), {
    actor,
    requestId: `${run}-${number}`,
    dryRun: false,
  });
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  process.stdout.write(`acknowledged ${catalogue.version} ${number}\n`);
}
