import { readFileSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type ServerProcess, startProcess, temporaryDataDir } from "../setup/server-process.js";

/** A first start creates and seeds a database, on a machine that does much else at the same time. */
const FIRST_START_MS = 120_000;

/** Every process of this file, so that none outlives a test that fails. */
const started: ServerProcess[] = [];

function start(settings: Record<string, string>): ServerProcess {
  const server = startProcess("sources", settings);
  started.push(server);
  return server;
}

const folder = temporaryDataDir();
const dataDir = folder.path;
let first: ServerProcess;
let address: string;

beforeAll(async () => {
  first = start({ DATA_DIR: dataDir });
  address = await first.ready;
}, FIRST_START_MS);
afterAll(async () => {
  await Promise.all(started.map((server) => server.end("SIGKILL")));
  folder.remove();
});

async function ask(api: string, query: string): Promise<unknown> {
  const response = await fetch(api, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  return ((await response.json()) as { data: unknown }).data;
}

describe("a server's process", () => {
  it("says where it is, and answers there out of a seeded catalogue", async () => {
    expect(first.output()).toMatch(/^API\s+http:\/\/localhost:\d+\/graphql$/m);
    expect(first.output()).toMatch(/^Playground\s+http/m);
    expect(first.output()).toMatch(/^Health\s+http.*\/healthz/m);
    const data = await ask(address, `{ model(slug: "deepseek-v3") { name } }`);
    expect(data).toEqual({ model: { name: expect.stringContaining("DeepSeek") } });
  });

  it("shows its progress at the first start", () => {
    expect(first.output()).toMatch(/Creating the database/);
    expect(first.output()).toMatch(/rows/);
  });

  it("keeps the admin token it made for its owner's eyes only", () => {
    const token = /^Admin token ([\w-]{40,})/m.exec(first.output())?.[1];
    const file = join(dataDir, "admin-token");
    expect(readFileSync(file, "utf8").trim()).toBe(token);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it("is refused on a data folder that another holds, in a sentence that names the other", async () => {
    const second = start({ DATA_DIR: dataDir });
    expect(await second.ended).toBe(1);
    expect(second.output()).toContain(`process ${first.child.pid}`);
    expect(second.output()).not.toMatch(/^\s+at /m);
    expect(await ask(address, "{ __typename }")).toEqual({ __typename: "Query" });
  }, 60_000);

  it("refuses settings that it cannot use, all at once", async () => {
    const wrong = start({ DATA_DIR: dataDir, PORT: "x", LOG_LEVEL: "y" });
    expect(await wrong.ended).toBe(2);
    expect(wrong.output()).toMatch(/^PORT must .*\nLOG_LEVEL must /m);
  }, 60_000);

  it(
    "starts again after it was killed, with the token it had, and ends in order when asked",
    async () => {
      expect(await first.end("SIGKILL")).toBe("SIGKILL");
      const again = start({ DATA_DIR: dataDir });
      const api = await again.ready;
      await vi.waitFor(() => expect(again.output()).toMatch(/^Admin token in /m));
      expect(again.output()).not.toMatch(/Creating the database/);
      expect(await ask(api, "{ __typename }")).toEqual({ __typename: "Query" });
      expect(await again.end("SIGTERM")).toBe(0);
    },
    FIRST_START_MS,
  );

  it(
    "says in a sentence that its port is taken",
    async () => {
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
      const { port } = holder.address() as AddressInfo;
      try {
        const refused = start({ DATA_DIR: dataDir, PORT: String(port) });
        expect(await refused.ended).toBe(1);
        expect(refused.output()).toMatch(new RegExp(`^Port ${port} on 127.0.0.1 is in use`, "m"));
        expect(refused.output()).not.toMatch(/^\s+at /m);
      } finally {
        holder.close();
      }
    },
    FIRST_START_MS,
  );
});
