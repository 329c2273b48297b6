// Takes a model over from a config.json, a GGUF file or a repository of the hub that is set up:
//
//   npm run import-model -- config.json --repo owner/name
//   npm run import-model -- model-Q4_K_M.gguf --slug my-model --vendor me
//   npm run import-model -- owner/name --dry-run
//
// It edits the database of DATABASE_URL or the embedded one in DATA_DIR; with --server http://localhost:4000 it asks a running
// server, with the token of ADMIN_TOKEN or DATA_DIR/admin-token. --print writes a row for seed/models.json instead.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Config, ConfigurationError, loadConfig } from "../src/config.js";
import { openDatabase } from "../src/data/database.js";
import { DatabaseError } from "../src/data/database-error.js";
import { migrate } from "../src/data/migrate.js";
import { createCatalogueSource } from "../src/data/snapshot.js";
import { ApiError } from "../src/errors.js";
import { countParameters } from "../src/estimator/tensors/count-parameters.js";
import { createEditingService } from "../src/services/editing/editing.js";
import { describeParameters } from "../src/services/imports/compare-parameters.js";
import { GgufError } from "../src/services/imports/gguf/parse-gguf.js";
import { readLocalGguf } from "../src/services/imports/gguf/read-local.js";
import { ImportError } from "../src/services/imports/import-error.js";
import {
  createImportService,
  type ImportInput,
  type ImportSource,
  readSource,
} from "../src/services/imports/imports.js";
import { isRepositoryName } from "../src/services/imports/repository-name.js";
import { formatModelRow, toModelRow } from "./model-row.js";

const USAGE = `Usage: npm run import-model -- <config.json | file.gguf | owner/name> [--dry-run] [--print] [--server URL]
  [--repo owner/name] [--revision main] [--slug ...] [--name ...] [--family ...] [--vendor ...] [--licence ...]
  [--released 2024-12] [--published 8030261248] [--note ...] [--file-repo owner/name] [--comment ...]`;

/** What cannot be done, in a sentence. */
class CommandError extends Error {}

const MUTATION = `mutation ($input: ImportModelInput!, $comment: String, $dryRun: Boolean!) {
  importModel(input: $input, comment: $comment, dryRun: $dryRun) {
    model { slug parameters }
    diffs { operation slug fields { field before after } }
    found { notes }
    userErrors { message field }
  }
}`;

/** Longest value that is written out. */
const LONGEST_VALUE = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    "dry-run": { type: "boolean", default: false },
    print: { type: "boolean", default: false },
    server: { type: "string" },
    comment: { type: "string" },
    repo: { type: "string" },
    revision: { type: "string" },
    "file-repo": { type: "string" },
    slug: { type: "string" },
    name: { type: "string" },
    family: { type: "string" },
    vendor: { type: "string" },
    licence: { type: "string" },
    released: { type: "string" },
    published: { type: "string" },
    note: { type: "string" },
  },
});

try {
  await run(loadConfig(), positionals);
} catch (error) {
  const isForPeople = [CommandError, ConfigurationError, DatabaseError, ApiError, GgufError, ImportError].some(
    (kind) => error instanceof kind,
  );
  if (!isForPeople && !isFileError(error)) throw error;
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function run(config: Config, [place, ...more]: readonly string[]): Promise<void> {
  if (place === undefined || more.length > 0) throw new CommandError(USAGE);
  const input = { source: await sourceAt(place), ...overrides() };
  if (values.print) await print(input, config);
  else if (values.server !== undefined) await askServer(input, values.server, config);
  else await edit(input, config);
}

/** What a path or a name stands for: files win over repositories. */
async function sourceAt(place: string): Promise<ImportSource> {
  if (!existsSync(place)) {
    if (!isRepositoryName(place))
      throw new CommandError(`There is no file "${place}", and it is no name of a repository.`);
    return { huggingFace: { repo: place, revision: values.revision } };
  }
  if (!/\.gguf$/i.test(place)) return { config: readFileSync(place, "utf8") };
  return { ggufHeader: { ...(await readLocalGguf(place)), repo: values["file-repo"] } };
}

function overrides(): Omit<ImportInput, "source"> {
  const { slug, name, family, vendor, licence, released, note, repo, published } = values;
  if (published !== undefined && !/^[1-9]\d{0,15}$/.test(published)) {
    throw new CommandError(`--published takes a whole number of parameters, not "${published}".`);
  }
  return {
    slug,
    name,
    family,
    vendor,
    licence,
    releasedOn: released,
    parametersNote: note,
    huggingFaceRepo: repo,
    publishedParameters: published === undefined ? undefined : Number(published),
  };
}

/** A row for seed/models.json on standard output, its parameters and what is to be said on standard error. */
async function print(input: ImportInput, config: Config): Promise<void> {
  const facts = await readSource(input.source, input, config.hub && { settings: config.hub });
  if (facts.architecture === null) throw new CommandError(facts.unreadable?.message ?? "The source says too little.");
  const row = toModelRow({ ...facts, architecture: facts.architecture }, input);
  console.log(formatModelRow(row));
  console.error(describeParameters(countParameters(row.architecture), row.publishedParameters));
  for (const note of facts.notes) console.error(note);
}

/** Edits the database as a server would. */
async function edit(input: ImportInput, config: Config): Promise<void> {
  const onProgress = (message: string) => console.error(message);
  const database = await openDatabase(config.database, { onProgress });
  try {
    await migrate(database, { onProgress });
    const source = await createCatalogueSource(database);
    try {
      const imports = createImportService(
        createEditingService(database, source),
        config.hub && { settings: config.hub },
      );
      const { outcome, findings } = await imports.importModel(input, {
        actor: { name: "command line", role: "ADMIN", tokenId: null },
        requestId: `import-model-${process.pid}`,
        comment: values.comment,
        dryRun: values["dry-run"],
      });
      report({
        slug: outcome.rows[0]?.slug ?? null,
        problems: outcome.problems,
        notes: findings?.notes ?? [],
        parameters: findings === null ? null : describeParameters(findings.count, findings.facts.publishedParameters),
        diffs: outcome.diffs,
      });
    } finally {
      await source.close();
    }
  } finally {
    await database.close();
  }
}

/** What a server answers, as far as it is read here. */
interface ServerAnswer {
  errors?: { message: string }[];
  data?: {
    importModel: {
      model: { slug: string; parameters: number } | null;
      diffs: Report["diffs"];
      found: { notes: string[] } | null;
      userErrors: Report["problems"];
    };
  };
}

async function askServer(input: ImportInput, server: string, config: Config): Promise<void> {
  const file = join(config.dataDir, "admin-token");
  const token = config.adminToken ?? (existsSync(file) ? readFileSync(file, "utf8").trim() : null);
  if (token === null) throw new CommandError("A server asks for a token: set ADMIN_TOKEN to one of role EDITOR.");
  const response = await fetch(`${server.replace(/\/+$/, "")}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: JSON.stringify({
      query: MUTATION,
      variables: { input, comment: values.comment, dryRun: values["dry-run"] },
    }),
  }).catch(() => {
    throw new CommandError(`${server} cannot be reached.`);
  });
  const { data, errors = [] } = (await response.json()) as ServerAnswer;
  if (data === undefined || data === null) throw new CommandError(errors.map(({ message }) => message).join("\n"));
  const { model, diffs, found, userErrors } = data.importModel;
  report({
    slug: model?.slug ?? null,
    problems: userErrors,
    notes: found?.notes ?? [],
    parameters: model === null ? null : `${model.parameters.toLocaleString("en")} parameters`,
    diffs,
  });
}

interface Report {
  slug: string | null;
  problems: readonly { field: readonly string[]; message: string }[];
  notes: readonly string[];
  parameters: string | null;
  diffs: readonly {
    operation: string;
    slug: string;
    fields: readonly { field: string; before: unknown; after: unknown }[];
  }[];
}

function report({ slug, problems, notes, parameters, diffs }: Report): void {
  if (problems.length > 0) {
    throw new CommandError(problems.map(({ field, message }) => `${field.join(".")}: ${message}`).join("\n"));
  }
  console.log(`${slug}: ${parameters}`);
  for (const note of notes) console.log(note);
  if (diffs.length === 0) console.log("Nothing changes: the catalogue has it all.");
  for (const { operation, slug: row, fields } of diffs) {
    console.log(`${operation} ${row}`);
    for (const { field, before, after } of fields) console.log(`  ${field}: ${brief(before)} -> ${brief(after)}`);
  }
  if (values["dry-run"]) console.log("A rehearsal: nothing was saved.");
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return text.length > LONGEST_VALUE ? `${text.slice(0, LONGEST_VALUE)}...` : text;
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "code" in error && "syscall" in error;
}
