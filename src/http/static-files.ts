import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";

/** One file, ready to be sent. */
export interface StaticFile {
  contentType: string;
  content: Buffer;
  etag: string;
  /** Compressed once it is asked for. */
  gzipped(): Buffer;
}

/** Files of a folder by their path below it, with forward slashes. */
export type StaticFiles = ReadonlyMap<string, StaticFile>;

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ttf": "font/ttf",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webp": "image/webp",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
};

/** Reads a whole folder, so that no request can reach outside it; empty when there is none. */
export function readStaticFiles(folder: string): StaticFiles {
  if (!existsSync(folder)) return new Map();
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    entries.map((entry) => {
      const file = join(entry.parentPath, entry.name);
      return [relative(folder, file).split(sep).join("/"), readStaticFile(file)];
    }),
  );
}

function readStaticFile(file: string): StaticFile {
  const content = readFileSync(file);
  let gzipped: Buffer | undefined;
  return {
    contentType: contentTypes[extname(file).toLowerCase()] ?? "application/octet-stream",
    content,
    // Weak: the same for the file as it is and compressed.
    etag: `W/"${createHash("sha256").update(content).digest("base64url").slice(0, 22)}"`,
    gzipped() {
      gzipped ??= gzipSync(content);
      return gzipped;
    },
  };
}
