import { type Catalogue, createTable } from "../../src/data/catalogue.js";
import type { GpuRow, ModelRow, SystemRow } from "../../src/data/rows.js";
import { prepareSeed, toCatalogue } from "../../src/services/seeding/prepare-seed.js";
import { readSeedFiles, SEED_FOLDER } from "../../src/services/seeding/read-seed.js";

/** The catalogue as it is shipped. */
export async function loadCatalogue(): Promise<Catalogue> {
  const { texts } = await readSeedFiles(SEED_FOLDER);
  return toCatalogue(prepareSeed(texts));
}

/** The same rows in new objects: nothing of what is kept about the old ones is known of these. */
export function forgetful(catalogue: Catalogue): Catalogue {
  return {
    ...catalogue,
    models: createTable(structuredClone([...catalogue.models.rows])),
    quantFormats: createTable(structuredClone([...catalogue.quantFormats.rows])),
  };
}

/** Each copy of a row is this much larger than the one before, so that no two are alike. */
const GROWTH = 1 / 512;

/** A catalogue with so many times as many cards, systems and models: copies under other names and of other sizes. */
export function enlarge(catalogue: Catalogue, times: number): Catalogue {
  const copies = Array.from({ length: times }, (_, copy) => copy);
  const named = <Row extends { id: string; slug: string }>(row: Row, copy: number): Row =>
    copy === 0 ? row : { ...row, id: `${row.id}-${copy}`, slug: `${row.slug}-${copy}` };
  const gpus = copies.flatMap((copy) =>
    catalogue.gpus.rows.map((row): GpuRow => ({ ...named(row, copy), ...grow(row, copy) })),
  );
  const systems = copies.flatMap((copy) =>
    catalogue.systems.rows.map(
      (row): SystemRow => ({
        ...named(row, copy),
        gpuId: copy === 0 ? row.gpuId : `${row.gpuId}-${copy}`,
      }),
    ),
  );
  const models = copies.flatMap((copy) =>
    catalogue.models.rows.map(
      (row): ModelRow => ({
        ...named(row, copy),
        architecture: {
          ...structuredClone(row.architecture),
          vocabularySize: row.architecture.vocabularySize + 64 * copy,
        },
      }),
    ),
  );
  return {
    ...catalogue,
    gpus: createTable(gpus),
    systems: createTable(systems),
    models: createTable(models),
  };
}

function grow(row: GpuRow, copy: number): Partial<GpuRow> {
  const factor = 1 + copy * GROWTH;
  return {
    memoryNominalGib: row.memoryNominalGib * factor,
    memoryUsableMib: row.memoryUsableMib === null ? null : Math.floor(row.memoryUsableMib * factor),
  };
}
