// Makes the archive of a migrated (and seeded) embedded database: node --import tsx make-archive.ts FILE SEEDED
import { rename, writeFile } from "node:fs/promises";
import { openDatabase } from "../../src/data/database.js";
import { migrate } from "../../src/data/migrate.js";
import { loadSeed } from "../../src/services/seeding/load-seed.js";

const [file, seeded] = process.argv.slice(2);
if (!file) throw new Error("no file given");
const database = await openDatabase({ kind: "memory" });
await migrate(database);
if (seeded === "true") await loadSeed(database);
const archive = await database.dump();
// Renamed when whole: several runs may make it at once.
const partial = `${file}.${process.pid}`;
await writeFile(partial, Buffer.from(await archive.arrayBuffer()));
await rename(partial, file);
await database.close();
