import { afterAll, beforeAll, expect, it } from "vitest";
import { createTable } from "../../src/data/catalogue.js";
import { serveSeed } from "./setup/seeded-server.js";
import { startServer, type TestServer } from "./setup/start-server.js";

const seeded = serveSeed();
let server: TestServer;

const CARD = "nvidia-rtx-4090-24gb";
const RENTED = "nvidia-l40s-48gb";
const OLD = "2024-02-03";
const today = new Date().toISOString().slice(0, "2026-01-01".length);

/** The seed with one price of a card, and of all systems with H100 or A100, seen when these dates say. */
beforeAll(async () => {
  const catalogue = seeded.source.current();
  const dates: Record<string, string> = { "nvidia-h100-sxm5-80gb": OLD, "nvidia-a100-sxm4-80gb": today };
  const gpus = catalogue.gpus.rows.map((gpu) =>
    gpu.slug === CARD
      ? { ...gpu, streetUsd: 1500, streetPriceAsOf: OLD }
      : gpu.slug === RENTED
        ? { ...gpu, usdPerHour: 3, usdPerHourAsOf: OLD }
        : gpu,
  );
  const systems = catalogue.systems.rows.map((system) => ({
    ...system,
    priceAsOf: dates[catalogue.gpus.byId.get(system.gpuId)?.slug ?? ""] ?? system.priceAsOf,
  }));
  server = await startServer({ ...catalogue, gpus: createTable(gpus), systems: createTable(systems) });
});
afterAll(() => server.stop());

const ESTIMATE = `query ($hardware: HardwareInput) {
  estimate(input: { model: { slug: "llama-3-8b" }, quant: "q4_k_m", context: 4096, hardware: $hardware }) {
    cost { usdPerHour usdToBuy warnings { code message } }
  }
}`;

async function costOf(hardware: object) {
  const { data, errors } = await server.query(ESTIMATE, { hardware });
  expect(errors).toBeUndefined();
  return data.estimate.cost;
}

it("an old price is marked at its row, with its date in what is reckoned with it", async () => {
  const { data } = await server.query(
    `{ gpu(slug: "${CARD}") { streetUsd priceIsStale } other: gpu(slug: "nvidia-rtx-3090-24gb") { priceIsStale } }`,
  );
  expect(data).toEqual({ gpu: { streetUsd: 1500, priceIsStale: true }, other: { priceIsStale: null } });
  const cost = await costOf({ gpus: [{ gpu: CARD, count: 2 }] });
  expect(cost.usdToBuy).toBe(3000);
  const ofCard = cost.warnings.filter(({ message }: { message: string }) => message.includes("RTX 4090"));
  expect(ofCard).toEqual([{ code: "PRICE_STALE", message: expect.stringContaining(`$1500, is of ${OLD}`) }]);
});

it("an old rent of the card's own is marked, and warned of where it was used", async () => {
  const { data } = await server.query(`{ gpu(slug: "${RENTED}") { usdPerHourAsOf priceIsStale } }`);
  expect(data).toEqual({ gpu: { usdPerHourAsOf: OLD, priceIsStale: true } });
  const { usdPerHour, warnings } = await costOf({ gpus: [{ gpu: RENTED, count: 2 }] });
  expect(usdPerHour).toBe(6);
  expect(warnings).toEqual([{ code: "PRICE_STALE", message: expect.stringContaining(`$3 an hour, is of ${OLD}`) }]);
});

it("the rent of cards without one of their own warns of the system whose share it is", async () => {
  const { usdPerHour, warnings } = await costOf({ gpus: [{ gpu: "nvidia-h100-sxm5-80gb", count: 2 }] });
  expect(usdPerHour).toBeGreaterThan(0);
  expect(warnings).toEqual([{ code: "PRICE_STALE", message: expect.stringMatching(/\$.* an hour, is of 2024-02-03/) }]);
  const fresh = await costOf({ gpus: [{ gpu: "nvidia-a100-sxm4-80gb", count: 1 }] });
  expect(fresh.usdPerHour).toBeGreaterThan(0);
  expect(fresh.warnings).toEqual([]);
});

it("hardware that is found says so of its own price", async () => {
  const { data, errors } = await server.query(`{
    hardware(input: { model: { slug: "llama-3-8b" }, quant: "q4_k_m", context: 4096 },
      filter: { gpu: ["${CARD}", "nvidia-h100-sxm5-80gb", "nvidia-a100-sxm4-80gb"] }, first: 100) {
      nodes { gpu { slug } usdPerHour usdToBuy system { slug priceIsStale } warnings { code } }
    }
  }`);
  expect(errors).toBeUndefined();
  const { nodes } = data.hardware;
  expect(nodes.length).toBeGreaterThan(5);
  for (const { gpu, system, usdPerHour, warnings } of nodes) {
    const isOld = system === null ? gpu.slug === CARD : gpu.slug === "nvidia-h100-sxm5-80gb" && usdPerHour !== null;
    if (system !== null && gpu.slug === CARD) continue;
    const codes = warnings.map(({ code }: { code: string }) => code);
    expect(codes.includes("PRICE_STALE")).toBe(isOld);
    if (system !== null && usdPerHour !== null) expect(system.priceIsStale).toBe(isOld);
  }
});
