import type { GgufHeader } from "../../../estimator/architecture/gguf/gguf-header.js";
import type { ArgumentPath } from "../../editing/user-error.js";
import { describeGguf, type GgufFacts } from "../gguf/describe-gguf.js";
import { type GgufBytes, GgufError, parseGguf } from "../gguf/parse-gguf.js";
import { ImportError } from "../import-error.js";
import { HubError } from "./hub-error.js";
import type { OpenRepository } from "./read-repository.js";

/** Shards whose headers are read; a file in more of them is described by the command line. */
const MAX_SHARDS = 30;

/**
 * Reads the headers of a GGUF file of a repository by range requests, of all shards where there are several.
 * @throws HubError; ImportError for what is no model that can be described
 */
export async function readRemoteGguf(opened: OpenRepository, fileName: string, path: ArgumentPath): Promise<GgufFacts> {
  const names = shardNames(fileName);
  if (names.length > MAX_SHARDS) {
    throw new HubError(
      "TOO_LARGE",
      `${fileName} is one of ${names.length} shards; the headers of at most ${MAX_SHARDS} are read.`,
    );
  }
  try {
    const headers: GgufHeader[] = [];
    for (const name of names) headers.push(await readHeader(opened, name));
    return describeGguf(joinShards(headers), [...path, "repo"]);
  } catch (error) {
    if (error instanceof GgufError)
      throw new ImportError("INVALID", [...path, "repo"], `${fileName}: ${error.message}`);
    throw error;
  }
}

async function readHeader({ repo, revision, hubUrl, fetch }: OpenRepository, fileName: string): Promise<GgufHeader> {
  const file = fileName.split("/").map(encodeURIComponent).join("/");
  const address = `${hubUrl}/${repo}/resolve/${encodeURIComponent(revision)}/${file}`;
  const { header } = await parseGguf(address, countBytes(fetch));
  return header;
}

/**
 * Counts what ranges bring, and asks for none behind the file's end. A server that ignores ranges would send the whole file
 * for each.
 */
function countBytes(request: typeof fetch): GgufBytes {
  let bytes = 0;
  let total = Number.POSITIVE_INFINITY;
  return {
    bytesRead: () => bytes,
    fetch: async (input, init) => {
      const start = Number(/\d+/.exec(new Headers(init?.headers).get("range") ?? "")?.[0] ?? 0);
      if (start >= total) return new Response(new Uint8Array(), { status: 206 });
      const response = await request(input, init);
      if (response.status !== 206) {
        await response.body?.cancel();
        throw new HubError("INVALID", "The hub does not answer with the part of a file that it was asked for.");
      }
      const stated = /\/\s*(\d+)\s*$/.exec(response.headers.get("content-range") ?? "")?.[1];
      if (stated !== undefined) total = Number(stated);
      const body = await response.arrayBuffer();
      bytes += body.byteLength;
      return new Response(body, { status: response.status, headers: response.headers });
    },
  };
}

/** All shards of a file, by the name of its first. */
function shardNames(fileName: string): string[] {
  const match = /^(?<stem>.+)-00001-of-(?<total>\d{5})\.gguf$/i.exec(fileName);
  if (!match?.groups) return [fileName];
  const { stem = "", total = "" } = match.groups;
  return Array.from(
    { length: Number(total) },
    (_, index) => `${stem}-${String(index + 1).padStart(total.length, "0")}-of-${total}.gguf`,
  );
}

/** The first shard has the metadata; tensors are in any of them. */
export function joinShards(headers: readonly GgufHeader[]): GgufHeader {
  return { metadata: headers[0]?.metadata ?? {}, tensors: headers.flatMap(({ tensors }) => tensors) };
}
