// Opens, migrates and seeds the database of a data folder, saying when each begins:
// node --import tsx open-folder.ts FOLDER SEED_FOLDER
import { openDatabase } from "../../../src/data/database.js";
import { migrate } from "../../../src/data/migrate.js";
import { loadSeed } from "../../../src/services/seeding/load-seed.js";

const [folder, seed] = process.argv.slice(2);
if (!folder || !seed) throw new Error("no folders given");
const onProgress = (message: string) => process.stdout.write(`${message}\n`);
const database = await openDatabase({ kind: "embedded", folder }, { onProgress });
onProgress("opened");
await migrate(database, { onProgress });
onProgress("migrated");
await loadSeed(database, { folder: seed, onProgress });
onProgress("seeded");
setInterval(() => {}, 60_000);
