import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { GgufHeader } from "../../../estimator/architecture/gguf/gguf-header.js";
import { joinShards } from "../hub/read-remote-gguf.js";
import { GgufError, type ParsedGguf, parseGguf } from "./parse-gguf.js";
import type { GgufHeaderInput } from "./read-upload.js";

/**
 * The header of a GGUF file on this machine as an import takes it, without its tokenizer; of all shards where the file is
 * the first of several. Nothing but headers is read.
 * @throws GgufError; whatever the file system throws
 */
export async function readLocalGguf(path: string): Promise<GgufHeaderInput> {
  const headers: GgufHeader[] = [];
  let sizeBytes = 0;
  for (const shard of shardPaths(path)) {
    const { parsed, bytes } = await readFile(shard);
    headers.push(parsed.header);
    sizeBytes += bytes;
  }
  const { metadata, tensors } = joinShards(headers);
  const { "split.count": _, ...whole } = metadata;
  return { json: { metadata: whole, tensors }, fileName: basename(path), sizeBytes };
}

function shardPaths(path: string): string[] {
  const match = /^(?<stem>.+)-(?<number>\d{5})-of-(?<total>\d{5})\.gguf$/i.exec(basename(path));
  if (!match?.groups) return [path];
  const { stem = "", total = "" } = match.groups;
  return Array.from({ length: Number(total) }, (_, index) => {
    const number = String(index + 1).padStart(total.length, "0");
    return join(dirname(path), `${stem}-${number}-of-${total}.gguf`);
  });
}

async function readFile(path: string): Promise<{ parsed: ParsedGguf; bytes: number }> {
  const file = await open(path);
  try {
    const bytes = (await file.stat()).size;
    let end = 0;
    const parsed = await parseGguf("https://file.invalid/header.gguf", {
      bytesRead: () => end,
      fetch: async (_, init) => {
        const part = await readRange(file, new Headers(init?.headers).get("range") ?? "");
        end += part.length;
        return new Response(part, { status: 206 });
      },
    });
    if (parsed.sizeBytes !== null && parsed.sizeBytes > bytes) {
      throw new GgufError(`The file has ${bytes} bytes; by its list of tensors it should have ${parsed.sizeBytes}.`);
    }
    return { parsed, bytes };
  } catch (error) {
    if (error instanceof GgufError) throw new GgufError(`${path}: ${error.message}`);
    throw error;
  } finally {
    await file.close();
  }
}

async function readRange(file: FileHandle, range: string): Promise<Uint8Array<ArrayBuffer>> {
  const [start = 0, end = 0] = /\d+-\d+/.exec(range)?.[0].split("-").map(Number) ?? [];
  const { buffer, bytesRead } = await file.read(new Uint8Array(end - start + 1), 0, end - start + 1, start);
  return buffer.subarray(0, bytesRead);
}
