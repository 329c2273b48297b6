import { randomBytes } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Name of the token's file in the data folder. */
const FILE_NAME = "admin-token";
/** 256 bits: beyond guessing. */
const TOKEN_BYTES = 32;
/** Only the owner reads it. */
const FILE_MODE = 0o600;

/** The token of the first administrator. */
export interface AdminToken {
  token: string;
  /** It was made just now, so that nobody knows it yet. */
  isNew: boolean;
  /** Where it is kept; null when it is a setting. */
  file: string | null;
}

/** The token kept in a data folder; made there, readable by its owner only, when there is none. */
export async function ensureAdminToken(dataDir: string): Promise<AdminToken> {
  const file = join(dataDir, FILE_NAME);
  const kept = (await readIfThere(file))?.trim();
  if (kept) return { token: kept, isNew: false, file };
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  await mkdir(dataDir, { recursive: true });
  await writeFile(file, `${token}\n`, { mode: FILE_MODE });
  return { token, isNew: true, file };
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}
