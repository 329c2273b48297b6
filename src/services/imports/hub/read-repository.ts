import { z } from "zod";
import { MAX_CONFIG_CHARACTERS } from "../../../estimator/architecture/limits.js";
import type { QuantScheme } from "../../../estimator/quantization/scheme.js";
import type { ArgumentPath } from "../../editing/user-error.js";
import { ImportError } from "../import-error.js";
import { type ConfigFacts, readConfig } from "../read-config.js";
import { isRepositoryName } from "../repository-name.js";
import type { PublishedFile, SourceFacts } from "../source-facts.js";
import { countSafetensors } from "./count-safetensors.js";
import { type GroupedFiles, groupFiles, type ListedFile } from "./group-files.js";
import { createGuardedFetch, DEFAULT_LIMITS, type HubLimits, type HubSettings } from "./guarded-fetch.js";
import { HubError } from "./hub-error.js";
import { licenceOf } from "./licences.js";
import { readRemoteGguf } from "./read-remote-gguf.js";

/** A repository of models as the API names it. */
export interface RepositoryInput {
  repo: string;
  revision?: string | null | undefined;
}

/** A hub, and what one import may take of it. */
export interface Hub {
  settings: HubSettings;
  limits?: HubLimits | undefined;
}

/** A repository that is being read. */
export interface OpenRepository {
  repo: string;
  /** Commit that all of it is read at, or the revision that was asked for where the hub does not say. */
  revision: string;
  hubUrl: string;
  fetch: typeof fetch;
  files: readonly ListedFile[];
}

/** A branch, a tag or a commit. */
const REVISION = /^(?!.*\.\.)[\w][\w./-]{0,254}$/;
/** Files that a listing may have. */
const MAX_FILES = 10_000;
const CONFIG_FILE = "config.json";
const ADAPTER_FILE = "adapter_config.json";

/**
 * Reads a repository: what the hub says about it, its config.json, its files of weights.
 * @param path argument that names it, which errors name
 * @throws ImportError
 */
export async function readRepository(input: RepositoryInput, hub: Hub, path: ArgumentPath): Promise<SourceFacts> {
  const { repo } = input;
  const revision = input.revision ?? "main";
  if (!isRepositoryName(repo)) {
    const message = 'repo must be the name of a repository, such as "owner/model": no address, no path.';
    throw new ImportError("INVALID", [...path, "repo"], message);
  }
  if (!REVISION.test(revision)) {
    throw new ImportError("INVALID", [...path, "revision"], "revision must be a branch, a tag or a commit.");
  }
  const guardedFetch = createGuardedFetch(hub.settings, hub.limits ?? DEFAULT_LIMITS);
  try {
    const access = { repo, hubUrl: hub.settings.url, fetch: guardedFetch };
    const info = await readInfo({ ...access, revision });
    const pinned = { ...access, revision: info.commit ?? revision };
    const opened = { ...pinned, files: await listFiles(pinned) };
    return await readOpened(opened, info, path);
  } catch (error) {
    if (error instanceof HubError) throw new ImportError(error.code, [...path, "repo"], error.message);
    throw error;
  }
}

type Access = Omit<OpenRepository, "files">;

/** What the hub says about a repository. */
interface RepositoryInfo {
  commit: string | null;
  licence: string | null;
  /** Repository that this one is a quantization of. */
  quantizedFrom: string | null;
  /** Elements of its safetensors files by type, as the hub counted them. */
  safetensors: Readonly<Record<string, number>> | null;
}

const text = z.string().max(500);
/** What is of another kind than the hub's is as if it were not there. */
const infoSchema = z.object({
  sha: z
    .string()
    .regex(/^[0-9a-f]{40,64}$/)
    .nullish()
    .catch(null),
  tags: z.array(text).max(5_000).nullish().catch(null),
  cardData: z
    .object({
      license: text.nullish().catch(null),
      license_name: text.nullish().catch(null),
    })
    .nullish()
    .catch(null),
  safetensors: z
    .object({ parameters: z.record(z.string().max(20), z.int().min(0)) })
    .nullish()
    .catch(null),
});

async function readInfo({ repo, revision, hubUrl, fetch }: Access): Promise<RepositoryInfo> {
  const { modelInfo } = await import("@huggingface/hub");
  const answer = await readAnswer("what it says about the repository", () =>
    modelInfo({
      name: repo,
      revision,
      hubUrl,
      fetch,
      additionalFields: ["sha", "tags", "cardData", "safetensors"],
    }),
  );
  const { sha, tags, cardData, safetensors } = infoSchema.parse(answer);
  return {
    commit: sha ?? null,
    licence: licenceOf(cardData?.license ?? null, cardData?.license_name ?? null),
    quantizedFrom: findBase(tags ?? []),
    safetensors: safetensors?.parameters ?? null,
  };
}

/** The hub marks quantizations with a tag "base_model:quantized:owner/name". */
function findBase(tags: readonly string[]): string | null {
  const prefix = "base_model:quantized:";
  const bases = tags.filter((tag) => tag.startsWith(prefix)).map((tag) => tag.slice(prefix.length));
  return bases.find(isRepositoryName) ?? null;
}

const fileSchema = z.object({
  type: z.string(),
  path: z.string().min(1).max(1_000),
  size: z.int().min(0).catch(0),
  lfs: z
    .object({ size: z.int().min(0) })
    .nullish()
    .catch(null),
});

async function listFiles({ repo, revision, hubUrl, fetch }: Access): Promise<ListedFile[]> {
  const { listFiles: list } = await import("@huggingface/hub");
  return readAnswer("its list of files", async () => {
    const files: ListedFile[] = [];
    const params = {
      repo: { type: "model" as const, name: repo },
      revision: encodeURIComponent(revision),
      hubUrl,
      fetch,
    };
    for await (const entry of list({ ...params, recursive: true })) {
      const { type, path, size, lfs } = fileSchema.parse(entry);
      if (type !== "file") continue;
      files.push({ path, sizeBytes: lfs?.size ?? size });
      if (files.length > MAX_FILES) throw new HubError("TOO_LARGE", `The repository has more than ${MAX_FILES} files.`);
    }
    return files;
  });
}

/** Runs a request of the hub's library, which trusts that answers have the hub's form. */
async function readAnswer<Answer>(what: string, request: () => Promise<Answer>): Promise<Answer> {
  try {
    return await request();
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw new HubError("INVALID", `The hub's answer is none: ${what} is cut off, or not of the form that hubs send.`);
  }
}

/** The text of a small file of a repository, at the commit that is being read. */
export async function readTextFile(
  { repo, revision, hubUrl, fetch, files }: OpenRepository,
  path: string,
  maxBytes: number,
): Promise<string> {
  const { downloadFile } = await import("@huggingface/hub");
  const size = files.find((file) => file.path === path)?.sizeBytes ?? 0;
  if (size > maxBytes) {
    throw new HubError(
      "TOO_LARGE",
      `${path} has ${size.toLocaleString("en")} bytes, more than ${maxBytes.toLocaleString("en")}.`,
    );
  }
  const url = `${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${path}`;
  const content = await readAnswer(path, async () => {
    const blob = await downloadFile({
      repo: { type: "model", name: repo },
      path,
      revision,
      hubUrl,
      fetch,
      // Its own protocol for large files asks another host.
      xet: false,
      downloadInfo: { size, etag: "", url },
    });
    return blob?.text();
  });
  if (content === undefined) throw new HubError("NOT_FOUND", `The repository has no ${path}.`);
  return content;
}

async function readOpened(opened: OpenRepository, info: RepositoryInfo, path: ArgumentPath): Promise<SourceFacts> {
  const { repo, files } = opened;
  const grouped = groupFiles(files, repo);
  const has = (name: string) => files.some((file) => file.path === name);
  if (has(CONFIG_FILE)) return describeCheckpoint(opened, info, grouped, await readConfigFile(opened, path));
  if (has(ADAPTER_FILE)) {
    const message = "The repository holds an adapter, not a model. Import the model that it is made for.";
    throw new ImportError("INVALID", [...path, "repo"], message);
  }
  if (grouped.gguf.length === 0) {
    const message = `The repository has neither a ${CONFIG_FILE} nor GGUF files: nothing in it says what the model is like.`;
    throw new ImportError("INVALID", [...path, "repo"], message);
  }
  return describeGguf(opened, info, grouped, path);
}

async function readConfigFile(opened: OpenRepository, path: ArgumentPath): Promise<ConfigFacts> {
  const content = await readTextFile(opened, CONFIG_FILE, MAX_CONFIG_CHARACTERS);
  try {
    return readConfig(content, path);
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    throw new ImportError(error.code, [...path, "repo"], `${CONFIG_FILE} of ${opened.repo}: ${error.message}`);
  }
}

async function describeCheckpoint(
  opened: OpenRepository,
  info: RepositoryInfo,
  grouped: GroupedFiles,
  config: ConfigFacts,
): Promise<SourceFacts> {
  const { repo } = opened;
  const isQuantized = config.checkpoint !== null || grouped.gguf.length > 0;
  const counted = await countSafetensors(opened, info.safetensors);
  return {
    ...commonFacts(opened, info),
    description: `${CONFIG_FILE} of ${repo}`,
    baseRepo: isQuantized ? info.quantizedFrom : null,
    architecture: config.architecture,
    unreadable: null,
    isWhole: true,
    publishedParameters: counted.parameters,
    checkpoint: config.checkpoint,
    files: [...grouped.gguf, ...checkpointFiles(repo, grouped.checkpoint, config.checkpoint)],
    notes: [...config.notes, ...counted.notes, ...grouped.notes],
    sources: [{ title: `${CONFIG_FILE} of ${repo}`, ...addressOf(repo) }],
  };
}

function commonFacts({ repo }: OpenRepository, { commit, licence }: RepositoryInfo) {
  return { repo, commit, licence, name: null, releasedOn: null };
}

function addressOf(repo: string): { url: string } {
  return { url: `https://huggingface.co/${repo}` };
}

function checkpointFiles(
  repo: string,
  files: GroupedFiles["checkpoint"],
  checkpoint: { method: string; scheme: QuantScheme | null } | null,
): PublishedFile[] {
  if (files === null) return [];
  const { method, scheme } = checkpoint ?? { method: "as trained", scheme: null };
  return [{ kind: "checkpoint", publisher: repo.split("/")[0] ?? repo, repo, ...files, quantName: method, scheme }];
}

/**
 * A repository that only has GGUF files: the smallest of them says what the model is like. Where that cannot be read, as on
 * hubs that keep large files on other hosts, names and sizes are still known.
 */
async function describeGguf(
  opened: OpenRepository,
  info: RepositoryInfo,
  grouped: GroupedFiles,
  path: ArgumentPath,
): Promise<SourceFacts> {
  const { repo } = opened;
  const [smallest] = grouped.gguf.toSorted((left, right) => left.sizeBytes - right.sizeBytes);
  if (smallest === undefined) throw new Error("a repository without GGUF files is not described by them");
  const header = await tryHeader(opened, smallest.fileName, path);
  const description = header.unreadable === null ? `Header of ${smallest.fileName} of ${repo}` : `Files of ${repo}`;
  return {
    ...commonFacts(opened, info),
    description,
    baseRepo: info.quantizedFrom,
    architecture: header.architecture,
    unreadable: header.unreadable,
    isWhole: false,
    name: header.name,
    licence: info.licence ?? header.licence,
    publishedParameters: null,
    checkpoint: null,
    files: grouped.gguf,
    notes: [...header.notes, ...grouped.notes],
    sources: [{ title: description, ...addressOf(repo) }],
  };
}

type HeaderFacts = Pick<SourceFacts, "architecture" | "unreadable" | "name" | "licence" | "notes">;

async function tryHeader(opened: OpenRepository, fileName: string, path: ArgumentPath): Promise<HeaderFacts> {
  try {
    return { ...(await readRemoteGguf(opened, fileName, path)), unreadable: null };
  } catch (error) {
    if (!(error instanceof HubError || error instanceof ImportError)) throw error;
    const { code, message } = error;
    return {
      architecture: null,
      unreadable: { code, message, field: [...path, "repo"] },
      name: null,
      licence: null,
      notes: [`The header of ${fileName} was not read, so that only names and sizes are known: ${message}`],
    };
  }
}
