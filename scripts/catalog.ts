// The catalogue as files: one document (FILE ends in .json) or a folder as seed/ is.
//
//   npm run catalog -- export seed             the catalogue of DATABASE_URL, or of the embedded database in DATA_DIR
//   npm run catalog -- diff backup.json        what an import would change; exit code 1 when that is anything
//   npm run catalog -- import backup.json      all of it, or nothing
//   npm run catalog -- format seed             a folder or document as an export would write it, without a database
//
//   --url http://localhost:4000   through a server that runs; imports need --token or ADMIN_TOKEN
//   --prune                       archives rows that are not in the file
//   --dry-run                     checks an import and saves nothing
//   --expected-version N          refuses an import when the catalogue has another version by now
//   --comment TEXT                why, for the history
//   --json                        prints a report as JSON
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ConfigurationError, loadConfig } from "../src/config.js";
import { DatabaseError } from "../src/data/database-error.js";
import { ApiError } from "../src/errors.js";
import {
  type CatalogueAccess,
  openCatalogue,
  reachCatalogue,
  ServerError,
} from "../src/services/catalogue-files/catalogue-access.js";
import {
  CatalogueFileError,
  readCatalogueFiles,
  writeCatalogueFiles,
} from "../src/services/catalogue-files/catalogue-folder.js";
import {
  describeCounts,
  describeDifferences,
  describeErrors,
  hasDifferences,
} from "../src/services/catalogue-files/describe-report.js";
import { normalizeFiles } from "../src/services/catalogue-files/normalize-files.js";
import { readSeedFiles, SEED_FOLDER } from "../src/services/seeding/read-seed.js";

/** As `diff` has them. */
const EXIT_DIFFERENT = 1;
const EXIT_TROUBLE = 2;

const USAGE =
  "Usage: npm run catalog -- export|import|diff|format FILE [--url URL] [--token TOKEN] [--prune] [--dry-run] [--expected-version N] [--comment TEXT] [--json]";

/** Something that cannot be done as asked, in a sentence. */
class CommandError extends Error {}

const OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  prune: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  "expected-version": { type: "string" },
  comment: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

type Options = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>["values"];

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  const [command, file, ...rest] = positionals;
  if (file === undefined || rest.length > 0) throw new CommandError(USAGE);
  if (command === "format") {
    report("formatted", await writeCatalogueFiles(file, normalizeFiles(await readCatalogueFiles(file))));
    return;
  }
  if (command !== "export" && command !== "import" && command !== "diff") throw new CommandError(USAGE);
  const catalogue = await open(values);
  try {
    if (command === "export") await exportTo(file, catalogue);
    else await importFrom(file, catalogue, values, command === "diff" || values["dry-run"] === true);
    if (command === "import" && process.exitCode === EXIT_DIFFERENT) process.exitCode = 0;
  } finally {
    await catalogue.close();
  }
}

function readArguments() {
  try {
    return parseArgs({ options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new CommandError(`${(error as Error).message}\n${USAGE}`);
  }
}

async function open({ url, token }: Options): Promise<CatalogueAccess> {
  const config = loadConfig();
  if (url !== undefined) return reachCatalogue(url, token ?? config.adminToken);
  return openCatalogue(config.database, (message) => console.error(message));
}

async function exportTo(file: string, catalogue: CatalogueAccess): Promise<void> {
  const loaded = await catalogue.seedHash();
  if (resolve(file) === SEED_FOLDER && loaded !== null && loaded !== (await readSeedFiles(SEED_FOLDER)).hash) {
    throw new CommandError(
      "seed/ has changed since this catalogue loaded it, and the export would take that back. Load it first: npm run seed",
    );
  }
  const document = await catalogue.exportDocument();
  if (isEmptyDocument(document)) {
    throw new CommandError("The catalogue is empty. Load the seed first (npm run seed), or start the server once.");
  }
  report("written", await writeCatalogueFiles(file, document));
}

function isEmptyDocument(document: string): boolean {
  return Object.values(JSON.parse(document) as object).every((rows) => !Array.isArray(rows) || rows.length === 0);
}

function report(what: string, files: readonly string[]): void {
  console.log(files.length === 0 ? "Everything is as it was." : files.map((name) => `${what}: ${name}`).join("\n"));
}

async function importFrom(file: string, catalogue: CatalogueAccess, values: Options, dryRun: boolean): Promise<void> {
  const result = await catalogue.importSections(await readCatalogueFiles(file), {
    dryRun,
    prune: values.prune === true,
    comment: values.comment ?? null,
    expectedCatalogVersion: readVersion(values["expected-version"]),
  });
  if (result.userErrors.length > 0) {
    process.exitCode = EXIT_TROUBLE;
    if (values.json) console.log(JSON.stringify(result, null, 2));
    else
      console.error(["Nothing was saved:", ...describeErrors(result.userErrors).map((line) => `  ${line}`)].join("\n"));
    return;
  }
  if (hasDifferences(result)) process.exitCode = EXIT_DIFFERENT;
  if (values.json) {
    console.log(JSON.stringify(result, null, 2));
    return;
  }
  const lines = describeDifferences(result);
  const end = `${describeCounts(result.counts)}; the catalogue is at version ${result.catalogVersion}.`;
  console.log([...lines, dryRun ? `Nothing was saved: ${end}` : end].join("\n"));
}

function readVersion(text: string | undefined): number | null {
  if (text === undefined) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CommandError(`--expected-version takes the version of the catalogue, a whole number, not "${text}".`);
}

try {
  await main();
} catch (error) {
  const isForPeople = [CommandError, CatalogueFileError, ConfigurationError, DatabaseError, ServerError, ApiError].some(
    (type) => error instanceof type,
  );
  console.error(isForPeople ? (error as Error).message : error);
  process.exitCode = EXIT_TROUBLE;
}
