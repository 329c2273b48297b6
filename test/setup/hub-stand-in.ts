import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A file of a repository: its first bytes, and its size where zeros follow. */
export interface StandInFile {
  content: Buffer | string;
  sizeBytes?: number;
  /** Kept outside of git: listed with a size of its own, and served by way of the host of `sendFilesTo`. */
  isLarge?: boolean;
}

export interface StandInRepository {
  /** What the hub says about it beside its name and commit. */
  info?: Record<string, unknown>;
  files: Record<string, StandInFile>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A hub that answers as Hugging Face does, and as it should not. */
export interface HubStandIn {
  url: string;
  repositories: Record<string, StandInRepository>;
  /** Answers instead of the usual ones, by what a path begins with. */
  faults: Map<string, Answer>;
  /** Where large files are sent for; itself when null. */
  sendFilesTo: string | null;
  /** Files in one page of a listing. */
  pageSize: number;
  requests: { path: string; authorization: string | undefined }[];
  /** Forgets requests and faults. */
  reset(): void;
  stop(): Promise<void>;
}

export const STAND_IN_COMMIT = "0123456789abcdef0123456789abcdef01234567";

/** Starts a hub on a port that the system chooses. */
export async function startHub(repositories: Record<string, StandInRepository> = {}): Promise<HubStandIn> {
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    hub.requests.push({ path, authorization: request.headers.authorization });
    const fault = [...hub.faults].find(([start]) => path.startsWith(start))?.[1];
    (fault ?? ((asked, reply) => answer(hub, asked, reply)))(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const hub: HubStandIn = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    repositories,
    faults: new Map(),
    sendFilesTo: null,
    pageSize: 1_000,
    requests: [],
    reset() {
      hub.faults.clear();
      hub.requests.length = 0;
      hub.sendFilesTo = null;
      hub.pageSize = 1_000;
    },
    stop() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return hub;
}

function answer(hub: HubStandIn, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", hub.url);
  const asked = /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(url.pathname);
  if (asked !== null) describeRepository(hub, asked, url, response);
  else findFile(hub, url, request, response);
}

function describeRepository(
  hub: HubStandIn,
  [, repo = "", kind, revision = ""]: RegExpExecArray,
  url: URL,
  response: ServerResponse,
): void {
  const repository = hub.repositories[repo];
  if (repository === undefined) refuse(response, 404, "RepoNotFound");
  else if (!["main", STAND_IN_COMMIT].includes(decodeURIComponent(revision))) refuse(response, 404, "RevisionNotFound");
  else if (kind === "tree") listFiles(hub, repository, url, response);
  else
    sendJson(response, { _id: "1", id: repo, sha: STAND_IN_COMMIT, private: false, gated: false, ...repository.info });
}

/** Every file is sent on once: small ones to a cache of the hub itself, large ones to where such are kept. */
function findFile(hub: HubStandIn, url: URL, request: IncomingMessage, response: ServerResponse): void {
  const asked = /^(\/blobs)?\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
  const found = hub.repositories[asked?.[2] ?? ""]?.files[decodeURIComponent(asked?.[4] ?? "")];
  if (asked === null || found === undefined) {
    refuse(response, 404, "EntryNotFound");
  } else if (asked[1] === undefined) {
    const host = found.isLarge ? (hub.sendFilesTo ?? hub.url) : hub.url;
    response.writeHead(found.isLarge ? 302 : 307, { location: `${host}/blobs${url.pathname}` });
    response.end();
  } else {
    sendFile(request, response, found);
  }
}

function listFiles(hub: HubStandIn, { files }: StandInRepository, url: URL, response: ServerResponse): void {
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const entries = Object.entries(files).map(([path, file]) => {
    const size = file.sizeBytes ?? Buffer.byteLength(file.content);
    return {
      type: "file",
      oid: "1",
      path,
      size,
      ...(file.isLarge ? { lfs: { oid: "2", size, pointerSize: 134 } } : {}),
    };
  });
  const folders = [{ type: "directory", oid: "3", path: "folder", size: 0 }];
  const all = [...folders, ...entries];
  const next = start + hub.pageSize;
  if (next < all.length) {
    url.searchParams.set("cursor", String(next));
    response.setHeader("link", `<${url.href}>; rel="next"`);
  }
  sendJson(response, all.slice(start, next));
}

/** A whole file, or the range that is asked for. */
function sendFile(request: IncomingMessage, response: ServerResponse, { content, sizeBytes }: StandInFile): void {
  const bytes = Buffer.from(content as string);
  const total = sizeBytes ?? bytes.length;
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  response.setHeader("etag", '"1"');
  if (range === null) {
    response.writeHead(200, { "content-length": total });
    response.end(bytes);
    return;
  }
  const start = Number(range[1]);
  const end = Math.min(Number(range[2]) + 1, total);
  if (start >= total) {
    response.writeHead(416, { "content-range": `bytes */${total}` });
    response.end();
    return;
  }
  const part = Buffer.alloc(end - start);
  bytes.copy(part, 0, start, end);
  response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${total}`, "content-length": part.length });
  response.end(part);
}

export function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify(value));
}

/** A refusal in the hub's form. */
export function refuse(
  response: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "x-error-code": code, "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ error: "x".repeat(1_000) }));
}
