import type { PublishedFile } from "../source-facts.js";

/** A file in a repository. */
export interface ListedFile {
  /** Within the repository. */
  path: string;
  /** Of the file itself, not of the pointer that git has in its place. */
  sizeBytes: number;
}

export interface GroupedFiles {
  gguf: readonly (PublishedFile & { fileName: string })[];
  /** The checkpoint's shards as one; null when there are none. */
  checkpoint: Pick<PublishedFile, "fileName" | "shards" | "sizeBytes"> | null;
  notes: readonly string[];
}

/** "name-00001-of-00003.gguf": its name, number and how many there are. */
const SHARD = /^(?<stem>.+)-(?<number>\d{5})-of-(?<total>\d{5})$/;
/** GGUF files beside the model: towers, importance matrices, draft heads. */
const BESIDE_THE_MODEL = /(^|[-_./])(mmproj|imatrix)/i;
/** Names that a row can have. */
const NAMEABLE = /^(?! )[^\p{Cc}]{1,200}(?<! )$/u;
/** A checkpoint in transformers' names; others in the same folder are copies or parts of it. */
const CHECKPOINT = /^model(-\d{5}-of-\d{5})?\.safetensors$/;

/** The weights of a repository: GGUF files with their shards together, and the checkpoint. */
export function groupFiles(files: readonly ListedFile[], repo: string): GroupedFiles {
  const notes: string[] = [];
  return { gguf: groupGguf(files, repo, notes), checkpoint: groupCheckpoint(files), notes };
}

function groupGguf(files: readonly ListedFile[], repo: string, notes: string[]): GroupedFiles["gguf"] {
  const groups = new Map<string, { total: number; files: ListedFile[] }>();
  for (const file of files) {
    const name = /^(.+)\.gguf$/i.exec(file.path)?.[1];
    if (name === undefined) continue;
    if (!NAMEABLE.test(file.path)) {
      notes.push("A GGUF file whose name is too long, or has control characters, is left out.");
      continue;
    }
    if (BESIDE_THE_MODEL.test(name)) {
      notes.push(`${file.path} is no file of the model's weights, and is left out.`);
      continue;
    }
    const { stem = name, total = "1" } = SHARD.exec(name)?.groups ?? {};
    const group = groups.get(stem) ?? { total: Number(total), files: [] };
    group.files.push(file);
    groups.set(stem, group);
  }
  return [...groups].flatMap(([stem, group]) => {
    if (group.files.length !== group.total) {
      notes.push(`Of ${stem} there are ${group.files.length} of ${group.total} shards; it is left out.`);
      return [];
    }
    const shards = group.files.toSorted((left, right) => (left.path < right.path ? -1 : 1));
    return [
      {
        kind: "gguf" as const,
        publisher: repo.split("/")[0] ?? repo,
        repo,
        fileName: shards[0]?.path ?? stem,
        shards: shards.length,
        sizeBytes: sumSizes(shards),
        quantName: quantNameOf(stem),
        scheme: null,
      },
    ];
  });
}

/** Names of formats within file names: K-quants, IQ, plain and the like, with a publisher's own prefix and size. */
const QUANT_NAME =
  /(?:^|[-._/ ])((?:UD[-_])?(?:I?Q\d{1,2}(?:_[A-Z0-9]+)*|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|FP16|F32|FP32))(?=$|[-._/ ])/gi;

/** The format that a file's name says it is in, as llama-quantize writes it: "Q4_K_M"; else the name itself. */
export function quantNameOf(stem: string): string {
  const found = [...stem.matchAll(QUANT_NAME)].at(-1)?.[1]?.toUpperCase();
  if (found === undefined) return stem.split("/").at(-1) ?? stem;
  return found.replace(/^FP(?=16$|32$)/, "F");
}

function groupCheckpoint(files: readonly ListedFile[]): GroupedFiles["checkpoint"] {
  const safetensors = files.filter(({ path }) => /^[^/]+\.safetensors$/.test(path));
  const named = safetensors.filter(({ path }) => CHECKPOINT.test(path));
  const shards = (named.length > 0 ? named : safetensors).toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const [first] = shards;
  return first === undefined ? null : { fileName: first.path, shards: shards.length, sizeBytes: sumSizes(shards) };
}

function sumSizes(files: readonly ListedFile[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
