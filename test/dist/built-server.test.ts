import { afterAll, describe, expect, it } from "vitest";
import { type ServerProcess, startProcess, temporaryDataDir } from "../setup/server-process.js";

const dataDir = temporaryDataDir();
/** Every process of this file, so that none outlives a test that fails. */
const started: ServerProcess[] = [];
afterAll(async () => {
  await Promise.all(started.map((server) => server.end("SIGKILL")));
  dataDir.remove();
});

function launch(): ServerProcess {
  const server = startProcess("build", { DATA_DIR: dataDir.path, NODE_ENV: "production" });
  started.push(server);
  return server;
}

async function ask(server: ServerProcess, query: string) {
  const response = await fetch(await server.ready, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
  return (await response.json()) as { data?: Record<string, never>; errors?: unknown };
}

const QUESTION = `{
  estimate(input: { model: { slug: "deepseek-v3" }, quant: "q4_k_m", context: 131072 }) {
    weights { parameters } kvCache { size { bytes } }
  }
}`;
const ANSWER = {
  data: { estimate: { weights: { parameters: 671_026_419_200 }, kvCache: { size: { bytes: 9_210_691_584 } } } },
};

describe("node dist/main.js over an empty folder", () => {
  it("migrates, seeds, says where everything is, and answers", async () => {
    const server = launch();
    expect(await ask(server, QUESTION)).toEqual(ANSWER);
    const output = server.output();
    for (const word of ["/graphql", "/healthz", "Playground"]) expect(output).toContain(word);
  });

  it("serves the playground to browsers and only files of its own", async () => {
    const address = (await started[0]?.ready) ?? "";
    const page = await fetch(address, { headers: { accept: "text/html" } });
    expect(page.headers.get("content-type")).toContain("text/html");
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(assets.length).toBeGreaterThan(0);
    for (const asset of assets) {
      expect(asset).toMatch(/^\/playground\//);
      expect((await fetch(new URL(asset, address))).status).toBe(200);
    }
  });

  it("a killed server does not keep the next one out, and nothing is seeded again", async () => {
    await started[0]?.end("SIGKILL");
    const next = launch();
    await next.ready;
    expect(next.output()).not.toContain("Loading");
    expect(await ask(next, QUESTION)).toEqual(ANSWER);
    expect(await next.end("SIGTERM")).toBe(0);
  });
});
