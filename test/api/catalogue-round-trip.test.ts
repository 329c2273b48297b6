import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createCatalogueSource } from "../../src/data/snapshot.js";
import { encodeGlobalId, type NodeType, nodeTables } from "../../src/services/catalogue/global-ids.js";
import { writeCatalogueFiles } from "../../src/services/catalogue-files/catalogue-folder.js";
import { exportDocument } from "../../src/services/catalogue-files/export-catalogue.js";
import { EDIT_FORMS } from "../../src/services/editing/forms.js";
import { rowsOf } from "../../src/services/editing/plan.js";
import { loadSeed } from "../../src/services/seeding/load-seed.js";
import { servicesFor } from "../../src/services/services.js";
import { openTestDatabase } from "../setup/databases.js";
import { serve } from "./setup/start-editor.js";

const EDITS = Number(process.env.ROUND_TRIP_EDITS ?? 24);
const TEST_MS = 300_000;

/** A text of each entity that may say anything. */
const TEXTS: Readonly<Record<NodeType, string>> = {
  Model: "parametersNote",
  ModelFile: "fileName",
  QuantFormat: "summary",
  KvCacheType: "summary",
  Gpu: "notes",
  System: "notes",
  Runtime: "summary",
  Scenario: "title",
  Measurement: "notes",
};
const ODD_TEXTS = [
  "\u{1f999} emoji",
  "\u05e9\u05dc\u05d5\u05dd",
  `"quoted" \\ and 'so'`,
  "{% raw %} {{ x }}",
  "'); --",
  "e\u0301 \u2028 x",
];

/** Numbers of a fixed sequence (mulberry32), so that a failure can be repeated. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

const IMPORT = `mutation ($catalog: JSON!, $dryRun: Boolean! = false) {
  result: importCatalog(catalog: $catalog, prune: true, dryRun: $dryRun) {
    counts { added changed archived restored unchanged notInFile }
    userErrors { field message }
    catalogVersion
  }
}`;

it(
  "an edited catalogue is the same after export and import, into itself, another database, and as a seed",
  async () => {
    const [own, other, seeded] = await Promise.all([
      openTestDatabase("embedded", { seeded: true }),
      openTestDatabase("postgres"),
      openTestDatabase("postgres"),
    ]);
    const folder = await mkdtemp(join(tmpdir(), "vramql-export-"));
    const editor = await serve(own.database);
    const fork = await serve(other.database);
    const random = createRandom(20_261_124);
    const pick = <Item>(items: readonly Item[]): Item => items[random(items.length)] as Item;
    let saved = 0;
    const edit = async (mutation: string, variables: Record<string, unknown> = {}) => {
      const { data, errors } = await editor.edit(mutation, variables);
      expect(errors).toBeUndefined();
      if (data.result.userErrors.length === 0) saved++;
    };
    try {
      for (let count = 0; count < EDITS; count++) {
        const type = pick(Object.keys(nodeTables) as NodeType[]);
        const row = pick(rowsOf(EDIT_FORMS[type], editor.source.current()).rows);
        const identity = `id: "${encodeGlobalId(type, row.id)}", expectedVersion: ${row.version}`;
        const one = `${type.charAt(0).toLowerCase()}${type.slice(1)}`;
        const change = async (input: object) =>
          edit(
            `mutation ($input: Update${type}Input!) { result: update${type}(${identity}, input: $input) { ${one} { id } userErrors { message } } }`,
            { input },
          );
        const action = random(6);
        if (action === 0) await edit(`mutation { result: delete${type}(${identity}) { userErrors { message } } }`);
        else if (action === 1) await change({ slug: `renamed-${count}` });
        else if (action === 2) await change({ sources: [{ title: pick(ODD_TEXTS) }] });
        else if (action === 3) {
          const name = row.archivedAt === null ? "archive" : "restore";
          await edit(`mutation { result: ${name}${type}(${identity}) { userErrors { message } } }`);
        } else await change({ [TEXTS[type]]: `${pick(ODD_TEXTS)} ${count}` });
      }
      expect(saved).toBeGreaterThan(EDITS / 2);
      const document = await exportDocument(editor.source.current());
      const catalog = JSON.parse(document);
      const version = editor.source.current().version;
      expect((await editor.edit(IMPORT, { catalog })).data.result).toMatchObject({
        counts: { added: 0, changed: 0, archived: 0, restored: 0, notInFile: 0 },
        userErrors: [],
        catalogVersion: version,
      });

      const { data } = await fork.edit(IMPORT, { catalog });
      expect(data.result.userErrors).toEqual([]);
      expect(await exportDocument(fork.source.current())).toBe(document);
      expect((await fork.edit(IMPORT, { catalog, dryRun: true })).data.result.counts).toMatchObject({
        added: 0,
        changed: 0,
        archived: 0,
        restored: 0,
      });

      expect(await writeCatalogueFiles(folder, document)).toHaveLength(Object.keys(nodeTables).length);
      await loadSeed(seeded.database, { folder, checkScenario: (made) => servicesFor(made).scenarios.check });
      const source = await createCatalogueSource(seeded.database);
      expect(await exportDocument(source.current())).toBe(document);
      await source.close();
    } finally {
      await rm(folder, { recursive: true, force: true });
      for (const server of [editor, fork]) await server.stop();
      for (const database of [own, other, seeded]) await database.close();
    }
  },
  TEST_MS,
);
