import { z } from "zod";
import type { GgufHeader } from "../../../estimator/architecture/gguf/gguf-header.js";
import type { ArgumentPath } from "../../editing/user-error.js";
import { quantNameOf } from "../hub/group-files.js";
import { ImportError } from "../import-error.js";
import { isRepositoryName, ownerOf } from "../repository-name.js";
import type { PublishedFile, SourceFacts } from "../source-facts.js";
import { describeGguf, type GgufFacts } from "./describe-gguf.js";
import { bytesOf, GgufError, type ParsedGguf, parseGguf } from "./parse-gguf.js";

/** The header of a GGUF file as people send it: exactly one of `base64` and `json`. */
export interface GgufHeaderInput {
  /** The first bytes of the file, at least to the end of its list of tensors. */
  base64?: string | null | undefined;
  /** `{ metadata, tensors: [{ name, shape, type }] }`. */
  json?: unknown;
  /** Within the repository; of the first shard where there are several. */
  fileName?: string | null | undefined;
  /** Repository that the file is in, "owner/name". */
  repo?: string | null | undefined;
  /** Of the whole file; as its list of tensors says if absent. */
  sizeBytes?: number | null | undefined;
}

/** Files that a split model may have. */
const MAX_SHARDS = 10_000;

/**
 * Reads the header of a GGUF file that was sent along.
 * @throws ImportError INVALID, NOT_MODELLED
 */
export async function readGgufUpload(input: GgufHeaderInput, path: ArgumentPath): Promise<SourceFacts> {
  const { base64, json } = input;
  if ((base64 == null) === (json == null)) {
    throw new ImportError("INVALID", path, "Give either base64, the file's first bytes, or json.");
  }
  if (input.repo != null && !isRepositoryName(input.repo)) {
    throw new ImportError(
      "INVALID",
      [...path, "repo"],
      'repo must be the name of a repository, such as "owner/model".',
    );
  }
  const parsed = base64 == null ? readJson(json, [...path, "json"]) : await readBase64(base64, [...path, "base64"]);
  if (parsed.split.count > 1) {
    const message =
      `The file is one of ${parsed.split.count} that the model is split into, and lists only its own tensors. ` +
      "`npm run import-model -- FILE` reads all of them.";
    throw new ImportError("INVALID", path, message);
  }
  return toFacts(input, parsed, describeGguf(parsed.header, path));
}

function toFacts(input: GgufHeaderInput, parsed: ParsedGguf, facts: GgufFacts): SourceFacts {
  const fileName = input.fileName ?? null;
  const description = fileName === null ? "Header of a GGUF file" : `Header of ${fileName}`;
  const url = input.repo == null ? {} : { url: `https://huggingface.co/${input.repo}` };
  const { architecture, name, licence } = facts;
  return {
    description,
    repo: null,
    baseRepo: null,
    commit: null,
    architecture,
    unreadable: null,
    isWhole: false,
    name,
    licence,
    releasedOn: null,
    publishedParameters: null,
    checkpoint: null,
    files: fileOf(input, parsed, facts),
    notes: facts.notes,
    sources: [{ title: description, ...url }],
  };
}

function fileOf(input: GgufHeaderInput, parsed: ParsedGguf, { quantName }: GgufFacts): PublishedFile[] {
  const sizeBytes = input.sizeBytes ?? parsed.sizeBytes;
  if (sizeBytes === null) return [];
  const { repo = null, fileName = null } = input;
  const stem = fileName?.replace(/\.gguf$/i, "") ?? "";
  return [
    {
      kind: "gguf",
      publisher: repo === null ? null : ownerOf(repo),
      repo,
      fileName,
      shards: 1,
      sizeBytes,
      quantName: stem === "" ? (quantName ?? "unknown") : quantNameOf(stem),
      scheme: null,
    },
  ];
}

async function readBase64(base64: string, path: ArgumentPath): Promise<ParsedGguf> {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(base64)) {
    throw new ImportError("INVALID", path, "base64 must be base64 without spaces or line breaks.");
  }
  try {
    return await parseBytes(Buffer.from(base64, "base64"));
  } catch (error) {
    if (error instanceof GgufError) throw new ImportError("INVALID", path, error.message);
    throw error;
  }
}

/** Reads a header from the bytes that are there. @throws GgufError */
export function parseBytes(bytes: Uint8Array): Promise<ParsedGguf> {
  return parseGguf("https://upload.invalid/header.gguf", {
    bytesRead: () => bytes.length,
    fetch: async (_, init) => {
      const [start = 0, end = 0] =
        /\d+-\d+/
          .exec(new Headers(init?.headers).get("range") ?? "")?.[0]
          .split("-")
          .map(Number) ?? [];
      return new Response(bytes.slice(start, end + 1), { status: 206 });
    },
  });
}

const MAX_TENSORS = 100_000;
const MAX_KEYS = 10_000;
const text = z.string().max(1_000);
const scalar = z.union([text, z.number(), z.boolean()]);
const headerSchema = z.object({
  metadata: z
    .record(text, z.unknown())
    .refine((keys) => Object.keys(keys).length <= MAX_KEYS, `must have at most ${MAX_KEYS} keys`),
  tensors: z
    .array(
      z.object({
        name: text,
        shape: z.array(z.int().min(1)).min(1).max(8),
        type: text.nullish(),
      }),
    )
    .max(MAX_TENSORS),
});

function readJson(json: unknown, path: ArgumentPath): ParsedGguf {
  const parsed = headerSchema.safeParse(typeof json === "string" ? parseText(json, path) : json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.map(String) ?? [];
    const message = `json${where.length === 0 ? "" : `.${where.join(".")}`}: ${issue?.message ?? "is no header"}.`;
    throw new ImportError("INVALID", [...path, ...where], message);
  }
  const metadata = Object.fromEntries(
    Object.entries(parsed.data.metadata).flatMap(([key, value]) => {
      const item = z.union([scalar, z.array(scalar).max(4_096)]).safeParse(value);
      return item.success ? [[key, item.data] as const] : [];
    }),
  );
  const tensors = parsed.data.tensors.map(({ name, shape, type }) => ({ name, shape, type: type ?? null }));
  const header: GgufHeader = { metadata, tensors };
  const count = metadata["split.count"];
  const split = { count: typeof count === "number" && count <= MAX_SHARDS ? count : 1, index: 0 };
  return { header, sizeBytes: dataBytes(header), split };
}

function parseText(json: string, path: ArgumentPath): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw new ImportError("INVALID", path, "json is no JSON, or is cut off.");
  }
}

/** Bytes of the tensors alone, which is all that a list of tensors says: the tokenizer comes on top. */
function dataBytes({ tensors }: GgufHeader): number | null {
  let bytes = 0;
  for (const { type, shape } of tensors) {
    const own = bytesOf(type, shape);
    if (own === null) return null;
    bytes += own;
  }
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : null;
}
