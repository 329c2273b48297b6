/*
 * Edits a catalogue without end, until it is killed: `edit-catalogue.ts <run> <folder or URL of a database>`. It says on
 * a line each what it found ("found {...}"), that it can begin ("ready", then it waits for a line), and every edit of
 * three runtimes once it is acknowledged ("acknowledged <version> <request>"): a bulk edit and an import of a document in
 * turn.
 */
import { once } from "node:events";
import { openDatabase } from "../../../src/data/database.js";
import { migrate } from "../../../src/data/migrate.js";
import { createCatalogueSource } from "../../../src/data/snapshot.js";
import { importDocument } from "../../../src/services/catalogue-files/import-catalogue.js";
import { createEditingService } from "../../../src/services/editing/editing.js";
import { EDIT_FORMS } from "../../../src/services/editing/forms.js";
import { planUpsert } from "../../../src/services/editing/plan.js";
import { EDITED_SLUGS, readTraces } from "./traces.js";

const [run = "", place = ""] = process.argv.slice(2);
const isUrl = place.startsWith("postgres");
const database = await openDatabase(isUrl ? { kind: "postgres", url: place } : { kind: "embedded", folder: place });
await migrate(database);
const source = await createCatalogueSource(database);
const editing = createEditingService(database, source);
const actor = { name: "somebody", role: "EDITOR", tokenId: null, isAnonymous: false } as const;
process.stdout.write(`found ${JSON.stringify(await readTraces(database))}\nready\n`);
await once(process.stdin, "data");

for (let number = 1; ; number++) {
  const inputs = EDITED_SLUGS.map((slug) => ({
    slug,
    name: `${run} ${number}`,
    engineVersion: "1",
    constants: {},
    summary: "made up",
    sources: [{ title: "made up" }],
  }));
  const requestId = `${run}-${number}`;
  const options = { actor, requestId, dryRun: false };
  const { catalogue, problems } =
    number % 2 === 0
      ? await importDocument(
          { runtimes: inputs },
          { editing, catalogue: source.current() },
          { ...options, prune: false, expectedCatalogVersion: null },
        )
      : await editing.edit(planUpsert(EDIT_FORMS.Runtime, inputs), options);
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
  process.stdout.write(`acknowledged ${catalogue.version} ${requestId}\n`);
}
