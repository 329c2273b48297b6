import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, stat, symlink } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { DatabaseError, reasonOf } from "./database-error.js";

/*
 * Who holds a data folder is answered by the operating system, not by a file's content: every holder listens on
 * a Unix socket in the folder. A socket of a process that is gone refuses connections from the moment the process
 * ends, however it ended, so that nothing has to expire, and a process id used again means nothing.
 *
 * Each process makes a socket of its own, listens, and only then looks for others. Of two that start at once, the
 * later to look sees the earlier (or both see each other, give up, and try again after random pauses): never do
 * two hold the folder.
 */

/** What a holder says of itself to whoever connects. */
export interface LockHolder {
  pid: number;
  host: string;
  /** RFC 3339. */
  since: string;
  /** False while it is still looking whether others hold the folder. */
  holds: boolean;
}

export interface DataFolderLock {
  release(): Promise<void>;
}

/** The process id is in the name for messages only, when its process is too busy to answer. */
const SOCKET_PATTERN = /^lock-(\d+)-[0-9a-f]+\.sock$/;
const TOKEN_BYTES = 4;
/** A process that ends while it is asked answers nothing or in part; then it is asked again. */
const QUESTIONS = 3;
/** Longest path of a Unix socket on every system (macOS 104, Linux 108, each with a closing zero). */
const MAX_SOCKET_PATH_BYTES = 100;
/** A live process that says nothing for so long is stopped or overloaded, but holds the folder. */
const ANSWER_TIMEOUT_MS = 1_000;
/** Tries when others are looking at the same time, and the longest pause between two. */
const ATTEMPTS = 50;
const MAX_PAUSE_MS = 100;

/**
 * Takes a folder, which must exist, for this process until released or until the process ends.
 * Throws DatabaseError (FOLDER_IN_USE) naming the holder when another live process has it.
 */
export async function lockDataFolder(folder: string): Promise<DataFolderLock> {
  if (process.platform === "win32") return lockByPipe(folder);
  const sockets = await openSocketFolder(resolve(folder));
  try {
    for (let attempt = 1; ; attempt++) {
      const claim = await createClaim(sockets.path, folder);
      const other = await findOther(sockets.path, claim.name);
      // Its file can be gone when a process that looked before this one listened took it for a dead one's.
      if (!other && (await exists(join(sockets.path, claim.name)))) {
        claim.holder.holds = true;
        return { release: () => closeServer(claim.server) };
      }
      await closeServer(claim.server);
      if (other?.holds || attempt === ATTEMPTS) throw inUse(folder, other);
      await new Promise((done) => setTimeout(done, Math.random() * MAX_PAUSE_MS));
    }
  } finally {
    await sockets.close();
  }
}

interface Claim {
  name: string;
  server: Server;
  holder: LockHolder;
}

async function createClaim(socketFolder: string, folder: string): Promise<Claim> {
  const holder: LockHolder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), holds: false };
  const name = `lock-${process.pid}-${randomBytes(TOKEN_BYTES).toString("hex")}.sock`;
  try {
    return { name, server: await listen(join(socketFolder, name), holder), holder };
  } catch (error) {
    throw new DatabaseError(
      "FOLDER_NOT_WRITABLE",
      `The folder ${folder} cannot be locked: ${reasonOf(error)}. ` +
        "Name a folder on a local disk with DATA_DIR, or a PostgreSQL server with DATABASE_URL.",
      { cause: error },
    );
  }
}

function listen(path: string, holder: LockHolder): Promise<Server> {
  return new Promise((done, fail) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.end(JSON.stringify(holder));
    });
    server.once("error", fail);
    server.listen({ path }, () => {
      server.off("error", fail);
      server.on("error", () => {});
      server.unref();
      done(server);
    });
  });
}

/** A live process with a claim on the folder, one that holds it first. Removes what dead ones left. */
async function findOther(socketFolder: string, ownName: string): Promise<LockHolder | undefined> {
  const names = (await readdir(socketFolder)).filter((name) => SOCKET_PATTERN.test(name) && name !== ownName);
  const answers = await Promise.all(
    names.map(async (name) => {
      const path = join(socketFolder, name);
      const answer = await ask(path);
      if (answer === "dead") await rm(path, { force: true });
      return answer === "silent" ? describeSilent(path, name) : answer;
    }),
  );
  const others = answers.filter((answer) => answer !== "dead");
  return others.find(({ holds }) => holds) ?? others[0];
}

/** A process that lives but does not say who it is (busy, stopped, or another user's) is taken to hold the folder. */
async function describeSilent(path: string, name: string): Promise<LockHolder> {
  const since = await stat(path).then(
    ({ mtime }) => mtime.toISOString(),
    () => "",
  );
  return { pid: Number(SOCKET_PATTERN.exec(name)?.[1]), host: hostname(), since, holds: true };
}

type Answer = LockHolder | "silent" | "dead";

async function ask(path: string): Promise<Answer> {
  let answer: Answer | "unclear" = "unclear";
  for (let question = 1; question <= QUESTIONS && answer === "unclear"; question++) answer = await askOnce(path);
  return answer === "unclear" ? "silent" : answer;
}

function askOnce(path: string): Promise<Answer | "unclear"> {
  return new Promise((done) => {
    let text = "";
    const socket = connect({ path });
    socket.setEncoding("utf8");
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      socket.destroy();
      done("silent");
    });
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.on("end", () => done(parseHolder(text) ?? "unclear"));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => {
      if (code === "ECONNREFUSED" || code === "ENOENT") done("dead");
      else done(code === "ECONNRESET" ? "unclear" : "silent");
    });
  });
}

function parseHolder(text: string): LockHolder | undefined {
  try {
    return JSON.parse(text) as LockHolder;
  } catch {
    return undefined;
  }
}

function inUse(folder: string, holder: LockHolder | undefined): DatabaseError {
  const who = holder?.pid
    ? `process ${holder.pid} on ${holder.host}, since ${holder.since}`
    : "a process that does not answer";
  return new DatabaseError(
    "FOLDER_IN_USE",
    `The folder ${folder} is in use by another server (${who}). ` +
      "Stop that one, or name another folder with DATA_DIR; several servers share one PostgreSQL with DATABASE_URL.",
  );
}

/** The folder by a path short enough for sockets: itself, or a link to it. */
async function openSocketFolder(folder: string): Promise<{ path: string; close(): Promise<void> }> {
  const longest = join(folder, `lock-${process.pid}-${"0".repeat(TOKEN_BYTES * 2)}.sock`);
  if (Buffer.byteLength(longest) <= MAX_SOCKET_PATH_BYTES) return { path: folder, close: async () => {} };
  const linkFolder = await mkdtemp(join(tmpdir(), "vramql-"));
  const path = join(linkFolder, "d");
  await symlink(folder, path);
  return { path, close: () => rm(linkFolder, { recursive: true, force: true }) };
}

/** On Windows a named pipe takes the socket's place; its name can be taken once, and ends with the process. */
async function lockByPipe(folder: string): Promise<DataFolderLock> {
  const key = createHash("sha256").update(resolve(folder).toLowerCase()).digest("hex");
  const path = `\\\\.\\pipe\\vramql-${key}`;
  const holder: LockHolder = { pid: process.pid, host: hostname(), since: new Date().toISOString(), holds: true };
  try {
    const server = await listen(path, holder);
    return { release: () => closeServer(server) };
  } catch {
    const answer = await ask(path);
    throw inUse(folder, typeof answer === "object" ? answer : undefined);
  }
}

/** Also removes the socket's file. */
function closeServer(server: Server): Promise<void> {
  return new Promise((done) => server.close(() => done()));
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
