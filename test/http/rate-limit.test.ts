import { afterEach, describe, expect, it } from "vitest";
import { DEFAULT_RATES } from "../../src/config-limits.js";
import { createRateLimiter, type RateLimits } from "../../src/http/rate-limit.js";
import { createTokenBuckets } from "../../src/http/token-buckets.js";
import { ANONYMOUS, type Viewer } from "../../src/services/access/viewer.js";
import type { Backend } from "../../src/services/backend.js";
import { smallCatalogue } from "../api/setup/small-catalogue.js";
import { type Answer, noBackend, type ServerOptions, startServer, type TestServer } from "../api/setup/start-server.js";
import { loadSeedCatalogue } from "./seed-catalogue.js";

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

/** So slow a flow that nothing comes back within a test: a unit in a thousand seconds. */
const unitsPerSecond = 0.001;
const limits: RateLimits = { address: { burst: 5, unitsPerSecond }, token: { burst: 20, unitsPerSecond } };

async function start(rates: RateLimits = limits, options: ServerOptions = {}, catalogue = smallCatalogue) {
  const server = await startServer(catalogue, { protection: { rateLimiter: createRateLimiter(rates) }, ...options });
  started.push(server);
  return server;
}

const TINY = "{ catalogVersion }";
const from = (address: string) => ({ "x-forwarded-for": address });
const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;

describe("an address", () => {
  it("may ask as much as its bucket holds, and then has to wait", async () => {
    const server = await start();
    for (const left of [4, 3, 2, 1, 0]) {
      const { status, headers } = await server.query(TINY);
      expect(status).toBe(200);
      expect(headers.get("ratelimit-policy")).toBe('"address";q=5;w=5000');
      expect(headers.get("ratelimit")).toMatch(new RegExp(`^"address";r=${left};t=\\d+$`));
    }
    const refused = await server.query(TINY);
    expect([refused.status, codeOf(refused)]).toEqual([429, "RATE_LIMITED"]);
    expect(refused.headers.get("retry-after")).toBe("1000");
    expect(refused.errors?.[0]?.extensions.retryAfterSeconds).toBe(1000);
    expect(refused.headers.get("ratelimit")).toMatch(/^"address";r=0;t=\d+$/);
    expect(refused.headers.get("cache-control")).toBe("no-store");
    expect(refused.errors?.[0]?.message).toMatch(/0.001 units of work a second are allowed, 5 at once/);
    expect(server.logged).toEqual([]);
  });

  it("pays what a query costs and what its body takes to read, and nothing for what is refused", async () => {
    const server = await start({ ...limits, address: { burst: 100, unitsPerSecond } });
    const remaining = async (query: string, headers = {}) => {
      const answer = await server.query(query, {}, headers);
      return { answer, left: Number(/r=(\d+)/.exec(answer.headers.get("ratelimit") ?? "")?.[1]) };
    };
    // One for the request, one for the connection and twenty for its nodes.
    const { answer, left } = await remaining("{ gpus { nodes { name } } }", { "x-query-cost": "1" });
    expect(answer.extensions?.cost).toMatchObject({ cost: 21 });
    expect(left).toBe(78);
    // Ten KiB more.
    expect((await remaining(`${TINY}#${"x".repeat(10 * 1024)}`)).left).toBe(67);
    // The request is paid, its cost is refused.
    const tooMuch = await remaining("{ gpus(first: 100) { nodes { name } } }");
    expect([tooMuch.answer.status, codeOf(tooMuch.answer), tooMuch.left]).toEqual([429, "RATE_LIMITED", 66]);
    expect(tooMuch.answer.errors?.[0]?.message).toMatch(/more than this server's rate limit of 100 units at once/);
    expect((await remaining(TINY)).left).toBe(65);
  });

  it("is refused before its body is read", async () => {
    const server = await start();
    for (let count = 0; count < 5; count++) await server.query(TINY);
    for (const length of [1_000, 20_000_000]) {
      const response = await fetch(`${server.url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "x".repeat(length),
      });
      expect(response.status).toBe(429);
    }
  });

  it("does not pay for others, nor for what it says of itself", async () => {
    const server = await start();
    for (let count = 0; count < 5; count++) await server.query(TINY, {}, from(`192.0.2.${count}`));
    expect((await server.query(TINY, {}, from("192.0.2.9"))).status).toBe(429);
    const behindProxy = await start(limits, { trustedProxies: ["loopback"] });
    for (let count = 0; count < 5; count++) await behindProxy.query(TINY, {}, from("192.0.2.1"));
    expect((await behindProxy.query(TINY, {}, from("192.0.2.1"))).status).toBe(429);
    expect((await behindProxy.query(TINY, {}, from("192.0.2.2"))).status).toBe(200);
    // One subscriber has all of a /64.
    for (let count = 0; count < 5; count++) await behindProxy.query(TINY, {}, from(`2001:db8:0:1::${count}`));
    expect((await behindProxy.query(TINY, {}, from("2001:db8:0:1::ffff"))).status).toBe(429);
    expect((await behindProxy.query(TINY, {}, from("2001:db8:0:2::1"))).status).toBe(200);
  });

  it("is not kept from probes, the playground and preflights", async () => {
    const server = await start();
    for (let count = 0; count < 6; count++) await server.query(TINY);
    for (const path of ["/healthz", "/readyz"]) expect((await fetch(server.url + path)).status).toBe(200);
    expect((await fetch(`${server.url}/graphql`, { method: "OPTIONS" })).status).toBe(204);
    expect((await fetch(`${server.url}/graphql`, { headers: { accept: "text/html" } })).status).not.toBe(429);
  });

  it("meets no limit where none is set", async () => {
    const server = await startServer(smallCatalogue);
    started.push(server);
    for (let count = 0; count < 50; count++) {
      const { status, headers } = await server.query(TINY);
      expect([status, headers.get("ratelimit")]).toEqual([200, null]);
    }
  });
});

describe("a token", () => {
  function backend() {
    const asked: (string | undefined)[] = [];
    const viewer: Viewer = { ...ANONYMOUS, name: "prices", role: "EDITOR", tokenId: "t1", isAnonymous: false };
    const stub: Backend = {
      ...noBackend,
      access: {
        ...noBackend.access,
        async identify(header) {
          asked.push(header);
          if (header?.startsWith("Bearer good")) return viewer;
          throw new Error("unknown");
        },
      },
    };
    return { stub, asked };
  }

  it("has an allowance of its own once it is known to hold, wherever it is used", async () => {
    const { stub, asked } = backend();
    const server = await start(limits, { backend: stub, trustedProxies: ["loopback"] });
    const ask = (address: string) => server.query(TINY, {}, { authorization: "Bearer good", ...from(address) });
    expect((await ask("192.0.2.1")).headers.get("ratelimit-policy")).toBe('"address";q=5;w=5000');
    for (let count = 0; count < 20; count++) {
      const { status, headers } = await ask(`192.0.2.${count}`);
      expect([status, headers.get("ratelimit-policy")]).toEqual([200, '"token";q=20;w=20000']);
    }
    expect((await ask("192.0.2.99")).status).toBe(429);
    // Those without it are where they were.
    expect((await server.query(TINY, {}, from("192.0.2.1"))).headers.get("ratelimit")).toMatch(/^"address";r=3;/);
    expect(asked).toEqual(["Bearer good"]);
  });

  it("that does not hold has none, however many are tried", async () => {
    const { stub, asked } = backend();
    const server = await start(limits, { backend: stub });
    for (let count = 0; count < 5; count++) {
      expect((await server.query(TINY, {}, { authorization: "Bearer bad" })).status).toBe(200);
    }
    for (let count = 0; count < 3; count++) {
      expect((await server.query(TINY, {}, { authorization: `Bearer bad${count}` })).status).toBe(429);
    }
    // Asked for once, and then remembered.
    expect(asked.filter((header) => header === "Bearer bad")).toHaveLength(1);
  });
});

describe("token buckets", () => {
  it("fill with time", () => {
    let time = 0;
    const buckets = createTokenBuckets(() => time);
    const allowance = { burst: 10, unitsPerSecond: 2 };
    expect(buckets.take("a", 10, allowance)).toEqual({ allowed: true, remaining: 0, waitSeconds: 0, fullSeconds: 5 });
    expect(buckets.take("a", 3, allowance)).toEqual({ allowed: false, remaining: 0, waitSeconds: 2, fullSeconds: 5 });
    time = 1_500;
    expect(buckets.take("a", 3, allowance)).toEqual({ allowed: true, remaining: 0, waitSeconds: 0, fullSeconds: 5 });
    time = 60_000;
    expect(buckets.take("a", 1, allowance)).toEqual({ allowed: true, remaining: 9, waitSeconds: 0, fullSeconds: 1 });
  });

  it("take over what was taken elsewhere, but give nothing back", () => {
    const buckets = createTokenBuckets(() => 0);
    const allowance = { burst: 10, unitsPerSecond: 1 };
    buckets.take("a", 2, allowance);
    buckets.drain("a", 1_000);
    expect(buckets.take("a", 0, allowance).remaining).toBe(8);
    buckets.drain("a", 9_000);
    expect(buckets.take("a", 0, allowance).remaining).toBe(1);
  });

  it("are remembered of a bounded number of clients, those of the latest", () => {
    const buckets = createTokenBuckets(() => 0);
    const allowance = { burst: 2, unitsPerSecond: 1 };
    let most = 0;
    for (let client = 0; client < 300_000; client++) {
      buckets.take(`address ${client}`, 2, allowance);
      if (client % 1_000 === 0) buckets.take("address busy", client === 0 ? 2 : 0, allowance);
      most = Math.max(most, buckets.size);
    }
    expect(most).toBeLessThanOrEqual(100_000);
    for (const known of ["address 299999", "address 260000", "address busy"]) {
      expect(buckets.take(known, 1, allowance).allowed).toBe(false);
    }
    expect(buckets.take("address 0", 1, allowance).allowed).toBe(true);
  });

  it("let anybody move sliders for ever", async () => {
    // What a page asks on every move: an estimate on hardware, with its speed, and the same in another format.
    const input = (quant: string) =>
      `input: { model: { slug: "llama-3.1-70b" }, quant: "${quant}", hardware: { gpus: [{ gpu: "nvidia-h100-sxm5-80gb" }] } }`;
    const fields = "total { gib } fits maxContext devices { total { gib } } speed { decode { value } }";
    const server = await startServer(await loadSeedCatalogue());
    started.push(server);
    const query = `{ a: estimate(${input("q4_k_m")}) { ${fields} } b: estimate(${input("q8_0")}) { ${fields} } }`;
    const { errors, extensions } = await server.query(query, {}, { "x-query-cost": "1" });
    expect(errors).toBeUndefined();
    const { cost } = (extensions as { cost: { cost: number } }).cost;
    const units = 1 + cost;
    let time = 0;
    const buckets = createTokenBuckets(() => time);
    const perSecond = 50;
    for (let moves = 0; moves < 600 * perSecond; moves++) {
      time += 1_000 / perSecond;
      expect(buckets.take("somebody", units, DEFAULT_RATES.address).allowed).toBe(true);
    }
  });
});
