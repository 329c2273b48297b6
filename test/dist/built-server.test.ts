import { afterAll, describe, expect, it } from "vitest";
import { type BuiltServer, launchServer, temporaryDataDir, untilReady } from "../setup/built-server.js";

const dataDir = temporaryDataDir();
const started: BuiltServer[] = [];
afterAll(async () => {
  await Promise.all(started.map((server) => server.end("SIGKILL")));
  dataDir.remove();
});

async function launch(): Promise<BuiltServer> {
  const server = await launchServer(dataDir.path);
  started.push(server);
  return server;
}

async function ask(server: BuiltServer, query: string) {
  const response = await fetch(`${server.origin}/graphql`, {
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
    const server = await launch();
    await untilReady(server);
    expect(await ask(server, QUESTION)).toEqual(ANSWER);
    const output = server.output();
    for (const word of ["/graphql", "/healthz", "Playground"]) expect(output).toContain(word);
  });

  it("serves the playground to browsers and only files of its own", async () => {
    const origin = started[0]?.origin;
    const page = await fetch(`${origin}/graphql`, { headers: { accept: "text/html" } });
    expect(page.headers.get("content-type")).toContain("text/html");
    const html = await page.text();
    const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
    expect(assets.length).toBeGreaterThan(0);
    for (const asset of assets) {
      expect(asset).toMatch(/^\/playground\//);
      expect((await fetch(origin + asset)).status).toBe(200);
    }
  });

  it("a killed server does not keep the next one out, and nothing is seeded again", async () => {
    await started[0]?.end("SIGKILL");
    const next = await launch();
    await untilReady(next);
    expect(next.output()).not.toContain("Loading");
    expect(await ask(next, QUESTION)).toEqual(ANSWER);
    expect(await next.end("SIGTERM")).toBe(0);
  });
});
