// Takes a data folder and says so, then holds it until killed: node --import tsx hold-folder.ts FOLDER [busy]
import { lockDataFolder } from "../../../src/data/data-folder-lock.js";

const [folder, busy] = process.argv.slice(2);
if (!folder) throw new Error("no folder given");
try {
  await lockDataFolder(folder);
  process.stdout.write("held\n");
  // A process too busy to answer holds the folder all the same.
  while (busy === "busy");
  setInterval(() => {}, 60_000);
} catch (error) {
  process.stdout.write(`refused: ${(error as Error).message}\n`);
}
