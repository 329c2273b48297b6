// Measures and compares; `start.mjs` compiles it and starts it on the load's core.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Load, load, percentile } from "./client.js";
import { ESTIMATE, HEAVY, OPERATIONS, type Operation, TINY } from "./operations.js";
import { type ServerProcess, startServer } from "./server-process.js";
import { TARGETS } from "./targets.js";

const [pinning, ...args] = process.argv.slice(2);
const pinned = pinning === "pinned";
const smoke = args.includes("--smoke");
const option = (name: string) => {
  const at = args.indexOf(name);
  return at === -1 ? undefined : args[at + 1];
};

/** Seconds of one look at one server; the looks at the servers alternate, and the best of each counts. */
const LOOK_SECONDS = smoke ? 0.2 : 2;
const LOOKS = smoke ? 1 : 3;
/** Seconds before, in which code gets compiled and caches fill. */
const WARM_UP_SECONDS = smoke ? 0.2 : 1.5;
const CONNECTIONS = 16;
/** Connections that keep sending searches while the tiny query is measured. */
const HEAVY_CONNECTIONS = 3;
/** Requests between two looks at the memory. */
const SOAK_STEP = 50_000;
/** The latency at that many connections that 99 of 100 requests stay below, milliseconds. */
const MOST_P99_MS = 10;
const BYTES_PER_MIB = 2 ** 20;

/** What one server did with one operation. */
interface Figure {
  perSecond: number;
  /** CPU of all its threads, microseconds per request. */
  cpuUs: number;
  p99Ms: number;
}

/** Every request of a run has a number of its own, so that none comes again. */
let numbered = 0;

const bodyOf = ({ query, variables }: Operation, n: number) => JSON.stringify({ query, variables: variables(n) });

async function look(server: ServerProcess, options: Parameters<typeof load>[0]): Promise<Figure> {
  const before = await server.usage();
  const result = await load(options);
  const after = await server.usage();
  // A peer that fails is no measure of speed, and no reason to measure nothing.
  if (server.name === "ours") requireSuccess(server.name, result);
  else if (result.failures > 0)
    console.log(`note: ${server.name} failed ${result.failures} of ${result.requests} times`);
  return {
    perSecond: result.requests / result.seconds,
    cpuUs: ((after.cpuMs - before.cpuMs) * 1_000) / result.requests,
    p99Ms: percentile(result, 0.99),
  };
}

function requireSuccess(name: string, { failures, failure }: Load): void {
  if (failures > 0) throw new Error(`${name} failed ${failures} times, first with:\n${failure}`);
}

const best = (figures: readonly Figure[]): Figure => ({
  perSecond: Math.max(...figures.map(({ perSecond }) => perSecond)),
  cpuUs: Math.min(...figures.map(({ cpuUs }) => cpuUs)),
  p99Ms: Math.min(...figures.map(({ p99Ms }) => p99Ms)),
});

/** Measures one operation on all servers in turn. */
async function compare(servers: readonly ServerProcess[], operation: Operation, changing: boolean) {
  const figures = new Map<string, Figure[]>(servers.map(({ name }) => [name, []]));
  const same = bodyOf(operation, 0);
  const optionsOf = ({ name, port }: ServerProcess, seconds: number) => {
    const from = numbered;
    // More than any server answers in that time.
    numbered += Math.ceil(seconds * 100_000);
    const path = name === "floor" ? `/${operation.name}` : "/graphql";
    const body = changing ? (n: number) => bodyOf(operation, n) : () => same;
    return { port, path, connections: CONNECTIONS, seconds, from, body };
  };
  for (const server of servers) await load(optionsOf(server, WARM_UP_SECONDS));
  for (let round = 0; round < LOOKS; round += 1) {
    for (const server of servers) figures.get(server.name)?.push(await look(server, optionsOf(server, LOOK_SECONDS)));
  }
  return new Map([...figures].map(([name, all]) => [name, best(all)]));
}

async function ask(port: number, operation: Operation): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: bodyOf(operation, 0),
  });
  return response.json();
}

const OURS = { file: "../dist/main.js", pinned };

function environmentOf(folder: string, extra: Record<string, string> = {}) {
  return { PORT: "0", HOST: "127.0.0.1", DATA_DIR: folder, LOG_LEVEL: "warn", RATE_LIMIT: "off", ...extra };
}

function printRow(cells: readonly string[]): void {
  console.log(cells.map((cell, index) => (index < 2 ? cell.padEnd(12) : cell.padStart(12))).join(""));
}

/** Milliseconds between two looks at a server that has just started, and the share of a core that is nothing. */
const IDLE_CHECK_MS = 1_000;
const IDLE_SHARE = 0.05;

/** Waits until a server has done what it works out ahead of requests. */
async function settle(server: ServerProcess): Promise<void> {
  for (let cpuMs = 0, last = Number.NEGATIVE_INFINITY; cpuMs - last > IDLE_CHECK_MS * IDLE_SHARE; ) {
    last = (await server.usage()).cpuMs;
    await new Promise((resolve) => setTimeout(resolve, IDLE_CHECK_MS));
    cpuMs = (await server.usage()).cpuMs;
  }
}

const rounded = (value: number, digits = 0) => value.toFixed(digits);

/** SQL statements that our server sends while it answers every operation over and over. */
async function countStatements(folder: string): Promise<number> {
  const server = await startServer("ours", { ...OURS, environment: environmentOf(folder, { LOG_LEVEL: "debug" }) });
  const statement = /\b(SELECT|INSERT|UPDATE|DELETE|BEGIN)\b/;
  const askAll = async (from: number) => {
    for (const operation of OPERATIONS) {
      await load({ port: server.port, connections: 4, requests: 20, from, body: (n) => bodyOf(operation, n) });
    }
  };
  await askAll(0);
  const before = server.countLines(statement);
  await askAll(1_000);
  const after = server.countLines(statement);
  await server.stop();
  return after - before;
}

/** The tiny query while searches run: their number per second, and its latency. */
async function whileSearching(server: ServerProcess) {
  const seconds = LOOK_SECONDS * LOOKS;
  const searches = HEAVY.map((operation) =>
    load({
      port: server.port,
      connections: HEAVY_CONNECTIONS,
      seconds,
      from: numbered,
      body: (n) => bodyOf(operation, n),
    }),
  );
  const small = await load({
    port: server.port,
    connections: CONNECTIONS,
    seconds,
    from: numbered,
    body: (n) => bodyOf(TINY, n),
  });
  numbered += 1_000_000;
  const done = await Promise.all(searches);
  requireSuccess("ours", small);
  return { small, searches: done.map(({ requests }, index) => ({ name: HEAVY[index]?.name ?? "", requests })) };
}

/** Memory over many requests: the tiny query and estimates, all of them different. */
async function soak(folder: string, total: number): Promise<void> {
  const server = await startServer("ours", { ...OURS, environment: environmentOf(folder) });
  await settle(server);
  printRow(["requests", "", "RSS MiB", "heap MiB", "per second"]);
  for (let done = 0; done < total; done += SOAK_STEP) {
    const requests = Math.min(SOAK_STEP, total - done);
    const body = (n: number) => bodyOf(n % 2 === 0 ? TINY : ESTIMATE, n);
    const result = await load({ port: server.port, connections: CONNECTIONS, requests, from: done, body });
    requireSuccess("ours", result);
    const { rss, heapUsed } = await server.collected();
    printRow([
      String(done + requests),
      "",
      rounded(rss / BYTES_PER_MIB),
      rounded(heapUsed / BYTES_PER_MIB),
      rounded(requests / result.seconds),
    ]);
  }
  await server.stop();
}

async function compareAll(folder: string): Promise<void> {
  const only = option("--only") ?? "";
  const operations = OPERATIONS.filter(({ name }) => name.startsWith(only));
  const ours = await startServer("ours", { ...OURS, environment: environmentOf(folder) });
  const others = await Promise.all(
    ["floor", "apollo", "mercurius"].map((name) => startServer(name, { file: `./${name}.compiled.js`, pinned })),
  );
  const [floor, apollo, mercurius] = others as [ServerProcess, ServerProcess, ServerProcess];
  const servers = [floor, apollo, mercurius, ours];
  try {
    await settle(ours);
    for (const operation of OPERATIONS) {
      const answer = await ask(ours.port, operation);
      floor.send({ [`/${operation.name}`]: answer });
      for (const server of [apollo, mercurius]) {
        if (!isDeepStrictEqual(await ask(server.port, operation), answer)) {
          console.log(`note: ${server.name} answers ${operation.name} otherwise than our server`);
        }
      }
    }
    const results = new Map<string, Map<string, Figure>>();
    printRow(["operation", "variables", "server", "per second", "CPU us", "p99 ms"]);
    for (const operation of operations) {
      for (const kind of ["changing", "same"]) {
        const figures = await compare(servers, operation, kind === "changing");
        results.set(`${operation.name} ${kind}`, figures);
        for (const [name, { perSecond, cpuUs, p99Ms }] of figures) {
          printRow([operation.name, kind, name, rounded(perSecond), rounded(cpuUs, 1), rounded(p99Ms, 1)]);
        }
      }
    }
    console.log("");
    for (const { sentence, least, measure } of TARGETS) {
      const value = measure((name, kind, server) => results.get(`${name} ${kind}`)?.get(server)?.cpuUs);
      if (value === null) continue;
      console.log(`${value >= least ? "met   " : "MISSED"} ${rounded(value, 2)} (at least ${least}): ${sentence}`);
    }
    const worst = [...results].flatMap(([name, figures]) => ({ name, p99Ms: figures.get("ours")?.p99Ms ?? 0 }));
    for (const { name, p99Ms } of worst) {
      console.log(
        `${p99Ms < MOST_P99_MS ? "met   " : "MISSED"} p99 ${rounded(p99Ms, 1)} ms (below ${MOST_P99_MS}): ${name}, ${CONNECTIONS} connections`,
      );
    }
    const { small, searches } = await whileSearching(ours);
    console.log(
      `tiny while searching: p50 ${rounded(percentile(small, 0.5), 1)} ms, p99 ${rounded(percentile(small, 0.99), 1)} ms, ` +
        `longest ${rounded(percentile(small, 1), 1)} ms, ${rounded(small.requests / small.seconds)} per second; meanwhile ` +
        searches.map(({ name, requests }) => `${requests} ${name}`).join(", "),
    );
  } finally {
    for (const server of servers) await server.stop();
  }
  const statements = await countStatements(folder);
  console.log(`${statements === 0 ? "met   " : "MISSED"} ${statements} SQL statements in the steady state`);
}

const folder = mkdtempSync(join(tmpdir(), "vramql-load-"));
try {
  const total = option("--soak");
  if (total === undefined) await compareAll(folder);
  else await soak(folder, Number(total));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
