// Loads seed/ (or the folder named) into the database of DATABASE_URL, or into the embedded one in DATA_DIR:
//
//   npm run seed
//   npm run seed -- path/to/folder
//
// The server does the same with seed/ when it starts. Nothing is written unless every row passes.
import { loadConfig } from "../src/config.js";
import { openDatabase } from "../src/data/database.js";
import { DatabaseError } from "../src/data/database-error.js";
import { migrate } from "../src/data/migrate.js";
import { loadSeed } from "../src/services/seeding/load-seed.js";
import { SeedError } from "../src/services/seeding/seed-error.js";
import { servicesFor } from "../src/services/services.js";

async function seed(folder: string | undefined): Promise<void> {
  const onProgress = (message: string) => console.log(message);
  const database = await openDatabase(loadConfig().database, { onProgress });
  try {
    await migrate(database, { onProgress });
    const { inserted, updated } = await loadSeed(database, {
      ...(folder === undefined ? {} : { folder }),
      onProgress,
      checkScenario: (catalogue) => servicesFor(catalogue).scenarios.check,
    });
    if (inserted + updated === 0) console.log("The catalogue is up to date with the seed.");
  } finally {
    await database.close();
  }
}

try {
  await seed(process.argv[2]);
} catch (error) {
  if (!(error instanceof SeedError || error instanceof DatabaseError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
