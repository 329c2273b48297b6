import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LimitsConfig } from "../../src/config-limits.js";
import { openProtection } from "../../src/protection.js";
import { readSchema } from "../../src/server.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { startServer, type TestServer } from "../api/setup/start-server.js";

const QUERY = "{ catalogVersion }";
const hash = createHash("sha256").update(QUERY).digest("hex");
const BY_HASH = { extensions: { persistedQuery: { version: 1, sha256Hash: hash } } };

/** So slow a flow that nothing comes back within a test. */
const unitsPerSecond = 0.001;
const limits: LimitsConfig = {
  rate: { address: { burst: 10, unitsPerSecond }, token: { burst: 10, unitsPerSecond } },
  operationMs: 30_000,
  heavyAtWork: 2,
  maxConnections: 100,
  trustedDocuments: null,
};

let port: number;
let redis: ChildProcess | undefined;
const closers: (() => Promise<void>)[] = [];

beforeEach(async () => {
  port = await freePort();
});
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await stopRedis();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function startRedis(): Promise<void> {
  const child = spawn(
    "redis-server",
    ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
    {
      stdio: "ignore",
    },
  );
  child.on("error", (error) => {
    throw new Error(`This suite needs redis-server (Debian: apt-get install redis-server): ${error.message}`);
  });
  redis = child;
  await until(
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => resolve(true));
        socket.on("error", () => resolve(false));
        socket.on("connect", () => socket.destroy());
      }),
  );
}

async function stopRedis(): Promise<void> {
  const child = redis;
  redis = undefined;
  if (child === undefined || child.exitCode !== null) return;
  // One that was stopped does not end otherwise.
  child.kill("SIGCONT");
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
}

/** Waits until something holds, which it must do before the test's own limit. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Connections that Redis has, the one that asks not counted. */
function countClients(): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("CLIENT LIST\r\n"));
    socket.on("error", reject);
    socket.once("data", (reply) => {
      socket.destroy();
      resolve([...reply.toString().matchAll(/^id=/gm)].length - 1);
    });
  });
}

interface Server extends TestServer {
  /** What was logged about Redis. */
  notes: string[];
}

async function start(rate: LimitsConfig["rate"] = limits.rate): Promise<Server> {
  const notes: string[] = [];
  const note = (message: string) => void notes.push(message);
  const log = { error: note, warn: note, info: note, debug: () => {} };
  const { protection, persistedQueries, close } = await openProtection(
    { ...limits, rate },
    `redis://127.0.0.1:${port}`,
    readSchema(),
    log,
  );
  const server = await startServer(smallCatalogue, { protection, persistedQueries });
  closers.push(close, () => server.stop());
  return { ...server, notes };
}

async function post(server: TestServer, body: object) {
  const response = await fetch(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { data, errors } = (await response.json()) as {
    data?: { catalogVersion?: number };
    errors?: { extensions: { code: string } }[];
  };
  return { status: response.status, version: data?.catalogVersion, code: errors?.[0]?.extensions.code };
}

it("servers know the queries that were sent to one of them", async () => {
  await startRedis();
  const [one, other] = [await start(null), await start(null)];
  expect(await post(other, BY_HASH)).toMatchObject({ code: "PERSISTED_QUERY_NOT_FOUND" });
  expect(await post(one, { query: QUERY, ...BY_HASH })).toMatchObject({ version: 7 });
  await until(async () => (await post(other, BY_HASH)).version === 7);
});

it("servers add up what a client takes", async () => {
  await startRedis();
  const [one, other] = [await start(), await start()];
  await until(async () => (await countClients()) === 2);
  for (let count = 0; count < 10; count++) expect((await one.query(QUERY)).status).toBe(200);
  expect((await one.query(QUERY)).status).toBe(429);
  // The first request may be answered before the other has heard of it; more than a few are not.
  let answered = 0;
  await until(async () => {
    if ((await post(other, { query: QUERY })).status === 429) return true;
    answered++;
    return false;
  });
  expect(answered).toBeLessThan(10);
});

it("without Redis every request is answered, and the log says so once", async () => {
  const server = await start(null);
  await until(async () => server.notes.length > 0);
  for (let count = 0; count < 50; count++) expect((await post(server, { query: QUERY, ...BY_HASH })).version).toBe(7);
  expect(server.notes).toEqual([
    "Redis does not answer; persisted queries and rate limits are this server's own meanwhile",
  ]);
  await startRedis();
  await until(async () => server.notes.includes("Redis answers again"));
  await stopRedis();
  await until(async () => server.notes.length === 3);
  for (let count = 0; count < 20; count++) expect((await post(server, BY_HASH)).version).toBe(7);
});

it("a Redis that answers no more keeps nobody waiting", async () => {
  await startRedis();
  const server = await start();
  await until(async () => (await countClients()) === 1);
  await post(server, { query: QUERY, ...BY_HASH });
  redis?.kill("SIGSTOP");
  const unknown = (text: string) => ({
    extensions: { persistedQuery: { version: 1, sha256Hash: createHash("sha256").update(text).digest("hex") } },
  });
  for (const text of ["a", "b", "c", "d"]) {
    expect(await post(server, unknown(text))).toMatchObject({ code: "PERSISTED_QUERY_NOT_FOUND" });
  }
  // Its own allowance goes on being counted: one of ten was taken before, four now.
  for (let count = 0; count < 5; count++) expect((await post(server, BY_HASH)).version).toBe(7);
  expect(await post(server, BY_HASH)).toMatchObject({ status: 429, code: "RATE_LIMITED" });
});
