import { z } from "zod";
import { HubError } from "./hub-error.js";
import { type OpenRepository, readTextFile } from "./read-repository.js";

/** How many parameters a checkpoint's files hold. */
export interface SafetensorsCount {
  /** Null when that cannot be told. */
  parameters: number | null;
  notes: readonly string[];
}

const INDEX_FILE = "model.safetensors.index.json";
const SINGLE_FILE = "model.safetensors";
/** Largest index that is read; those of published checkpoints in 163 files have 9 MB. */
const MAX_INDEX_BYTES = 32 * 2 ** 20;
/** Types whose elements are parameters, one each; in others several are packed, or they are scales. */
const PLAIN_TYPES: ReadonlySet<string> = new Set(["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"]);

/**
 * Counts the parameters that a repository's safetensors files hold: as the hub counted them, else as the checkpoint's index
 * says, else by the header of its one file. Elements that several weights are packed into are not counted.
 * @param byType elements by type, as the hub counted them
 */
export async function countSafetensors(
  opened: OpenRepository,
  byType: Readonly<Record<string, number>> | null,
): Promise<SafetensorsCount> {
  if (byType !== null) return sumPlain(byType);
  const has = (path: string) => opened.files.some((file) => file.path === path);
  try {
    if (has(INDEX_FILE)) return await readIndex(opened);
    if (has(SINGLE_FILE)) return sumPlain(await readHeader(opened));
  } catch (error) {
    // What the parameters are compared with is no reason to refuse the model.
    if (error instanceof HubError) {
      return { parameters: null, notes: [`Its parameters could not be counted: ${error.message}`] };
    }
    throw error;
  }
  return { parameters: null, notes: [] };
}

function sumPlain(byType: Readonly<Record<string, number>>): SafetensorsCount {
  const types = Object.entries(byType).filter(([, elements]) => elements > 0);
  const packed = types.filter(([type]) => !PLAIN_TYPES.has(type)).map(([type]) => type);
  if (packed.length > 0) {
    const note = `The files hold elements of ${packed.join(", ")}, which are not parameters one by one; they are not compared.`;
    return { parameters: null, notes: [note] };
  }
  const parameters = types.reduce((sum, [, elements]) => sum + elements, 0);
  return Number.isSafeInteger(parameters) && parameters > 0
    ? { parameters, notes: [] }
    : { parameters: null, notes: [] };
}

const indexSchema = z.object({
  metadata: z.object({ total_parameters: z.int().min(1).nullish().catch(null) }).nullish(),
  weight_map: z.record(z.string(), z.string()),
});

async function readIndex(opened: OpenRepository): Promise<SafetensorsCount> {
  const content = await readTextFile(opened, INDEX_FILE, MAX_INDEX_BYTES);
  const parsed = indexSchema.safeParse(parseJson(content));
  if (!parsed.success) {
    return { parameters: null, notes: [`${INDEX_FILE} is cut off, or no index of a checkpoint.`] };
  }
  const { metadata, weight_map: weights } = parsed.data;
  const listed = new Set(opened.files.map(({ path }) => path));
  const missing = [...new Set(Object.values(weights))].filter((file) => !listed.has(file));
  const notes =
    missing.length === 0 ? [] : [`${INDEX_FILE} names ${missing.length} files that the repository does not have.`];
  return { parameters: metadata?.total_parameters ?? null, notes };
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}

/** Elements by type, by the header at the front of the file. */
async function readHeader({ repo, revision, hubUrl, fetch }: OpenRepository): Promise<Record<string, number>> {
  const { parseSafetensorsMetadata } = await import("@huggingface/hub");
  try {
    const { parameterCount } = await parseSafetensorsMetadata({
      repo: { type: "model", name: repo },
      path: SINGLE_FILE,
      revision,
      hubUrl,
      fetch,
      computeParametersCount: true,
    });
    return { ...parameterCount };
  } catch (error) {
    if (error instanceof HubError) throw error;
    throw new HubError("INVALID", `the header of ${SINGLE_FILE} is cut off, or is none.`);
  }
}
