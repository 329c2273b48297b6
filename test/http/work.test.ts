import { request as httpRequest } from "node:http";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Catalogue } from "../../src/data/catalogue.js";
import { Refusal } from "../../src/http/refusal.js";
import { createWorkQueue } from "../../src/http/work-queue.js";
import type { RunnableService } from "../../src/services/runnable/runnable.js";
import { servicesFor } from "../../src/services/services.js";
import { type Answer, type ServerOptions, startServer, type TestServer } from "../api/setup/start-server.js";
import { loadSeedCatalogue } from "./seed-catalogue.js";

let seed: Catalogue;
beforeAll(async () => {
  seed = await loadSeedCatalogue();
});

const started: TestServer[] = [];
afterEach(async () => {
  for (const server of started.splice(0)) await server.stop();
});

/** A server over a copy of the catalogue whose services have no results yet. */
async function start(options: ServerOptions = {}): Promise<{ server: TestServer; catalogue: Catalogue }> {
  const catalogue = { ...seed };
  const server = await startServer(catalogue, options);
  started.push(server);
  return { server, catalogue };
}

const HEAVY = `{ runnable(hardware: { gpus: [{ gpu: "nvidia-rtx-4090-24gb" }] }, filter: { search: "qwen" }, sort: MOST_CONTEXT) { totalCount } }`;
const LESS_HEAVY = `{ runnable(hardware: { gpus: [{ gpu: "nvidia-rtx-3090-24gb" }] }, filter: { search: "qwen" }) { totalCount } }`;
const SMALL = "{ catalogVersion }";

/** Replaces the search for what hardware can run. */
function replaceSearch(
  catalogue: Catalogue,
  find: (original: RunnableService["find"]) => RunnableService["find"],
): void {
  const { runnable } = servicesFor(catalogue);
  runnable.find = find(runnable.find);
}

/** How each search ended: what it threw, or that it came to its end. */
function watchSearches(catalogue: Catalogue): { begun: Promise<void>; outcomes: Promise<unknown>[] } {
  const outcomes: Promise<unknown>[] = [];
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  replaceSearch(catalogue, (find) => (args, signal) => {
    const search = find(args, signal);
    outcomes.push(
      search.then(
        () => "found",
        (error: unknown) => error,
      ),
    );
    begin();
    return search;
  });
  return { begun, outcomes };
}

/** Sends a query and goes away when told to. */
function sendAndLeave(server: TestServer, query: string): { leave(): void } {
  const request = httpRequest(`${server.url}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  request.on("error", () => {});
  request.end(JSON.stringify({ query }));
  return { leave: () => request.destroy() };
}

const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;

describe("an operation that takes too long", () => {
  it("leaves nothing half-found behind", async () => {
    const { server, catalogue } = await start({ protection: { operationMs: 20 } });
    const patient = await startServer(catalogue);
    started.push(patient);
    expect(codeOf(await server.query(LESS_HEAVY))).toBe("TIMEOUT");
    const after = await patient.query(LESS_HEAVY);
    const fresh = await (await start()).server.query(LESS_HEAVY);
    expect(after.errors).toBeUndefined();
    expect(after.data).toEqual(fresh.data);
  });

  it("ends in an error with advice, and its work stops", async () => {
    const { server, catalogue } = await start({ protection: { operationMs: 20 } });
    const { outcomes } = watchSearches(catalogue);
    const answer = await server.query(HEAVY);
    expect(answer.status).toBe(503);
    expect(codeOf(answer)).toBe("TIMEOUT");
    expect(answer.errors?.[0]?.message).toBe(
      "This operation took longer than 0.02 s. Ask for less at once: fewer items, narrower filters, or several smaller queries.",
    );
    const ends = await Promise.all(outcomes);
    expect(ends).toHaveLength(1);
    expect(ends[0]).toBeInstanceOf(Refusal);
    expect(server.logged).toEqual([]);
    expect((await server.query(SMALL)).status).toBe(200);
  });

  it("of many parts ends between two of them", async () => {
    const { server } = await start({ protection: { operationMs: 20 } });
    const answer = await server.query("{ scenarios(first: 20) { nodes { answer verdict hardware { totalCount } } } }");
    expect([answer.status, codeOf(answer), answer.data]).toEqual([503, "TIMEOUT", undefined]);
  });
});

describe("a client that goes away", () => {
  it("stops the search it waited for", async () => {
    const { server, catalogue } = await start();
    const { begun, outcomes } = watchSearches(catalogue);
    const client = sendAndLeave(server, HEAVY);
    await begun;
    client.leave();
    const [outcome] = await Promise.all(outcomes);
    expect(outcome).toMatchObject({ code: "CANCELLED" });
    expect(server.logged).toEqual([]);
  });

  it("does not stop one that others wait for", async () => {
    const { server, catalogue } = await start();
    const { begun, outcomes } = watchSearches(catalogue);
    const client = sendAndLeave(server, HEAVY);
    await begun;
    const other = server.query(HEAVY);
    while (outcomes.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    client.leave();
    expect((await other).errors).toBeUndefined();
    expect(await Promise.all(outcomes)).toEqual([expect.objectContaining({ code: "CANCELLED" }), "found"]);
  });

  it("leaves its place in the queue", async () => {
    const { server, catalogue } = await start({ protection: { heavyAtWork: 1 } });
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let searches = 0;
    replaceSearch(catalogue, (find) => async (args, signal) => {
      searches++;
      await gate;
      return find(args, signal);
    });
    const first = server.query(HEAVY);
    while (searches < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    const waiting = sendAndLeave(server, HEAVY);
    await server.query(SMALL);
    waiting.leave();
    await server.query(SMALL);
    release();
    expect((await first).errors).toBeUndefined();
    // Another one: the answer to the first is kept.
    expect((await server.query(LESS_HEAVY)).errors).toBeUndefined();
    expect(searches).toBe(2);
  });
});

describe("heavy operations", () => {
  it("wait for one another, up to a number; small ones pass", async () => {
    const { server, catalogue } = await start({ protection: { heavyAtWork: 1 } });
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let atWork = 0;
    let most = 0;
    replaceSearch(catalogue, (find) => async (args, signal) => {
      atWork++;
      most = Math.max(most, atWork);
      await gate;
      const found = await find(args, signal);
      atWork--;
      return found;
    });
    // One is at work, sixteen of this client may wait, five are turned away.
    const refused: Answer[] = [];
    let turnAway = () => {};
    const turnedAway = new Promise<void>((resolve) => {
      turnAway = resolve;
    });
    const answers = Array.from({ length: 22 }, async () => {
      const answer = await server.query(HEAVY);
      if (answer.status === 200) return answer;
      if (refused.push(answer) === 5) turnAway();
      return null;
    });
    await turnedAway;
    for (const answer of refused) {
      expect([answer.status, codeOf(answer)]).toEqual([503, "OVERLOADED"]);
      expect(answer.headers.get("retry-after")).toBe("2");
      expect(answer.errors?.[0]?.message).toBe("At most 16 large operations of one client may wait. Try again in 2 s.");
    }
    const estimate = '{ estimate(input: { model: { slug: "llama-3.1-8b" }, quant: "q4_k_m" }) { fits } }';
    for (const small of [SMALL, estimate]) expect((await server.query(small)).status).toBe(200);
    release();
    const answered = (await Promise.all(answers)).filter((answer) => answer !== null);
    expect(answered).toHaveLength(17);
    expect(most).toBe(1);
  });
});

describe("a queue", () => {
  const patient = new AbortController().signal;

  it("lets those who wait begin in their order, and turns away those beyond its bounds", async () => {
    const queue = createWorkQueue({ atWork: 1, waiting: 3, waitingPerClient: 2 });
    const order: string[] = [];
    const end = await queue.enter("a", patient);
    const leaving = new AbortController();
    const entered = ["a", "a", "b"].map(async (client, index) => {
      const leave = await queue.enter(client, index === 1 ? leaving.signal : patient);
      order.push(`${client}${index}`);
      leave();
      // Whoever says it twice makes no room for two.
      leave();
    });
    entered[1]?.catch(() => {});
    await expect(queue.enter("c", patient)).rejects.toMatchObject({ code: "OVERLOADED", status: 503 });
    leaving.abort(new Error("gone"));
    await expect(entered[1]).rejects.toThrow("gone");
    // There is room again, and for client a too.
    entered.push(queue.enter("a", patient).then((leave) => leave()));
    await expect(queue.enter("a", patient)).rejects.toThrow(/too many operations are waiting/);
    expect(queue.counts()).toEqual({ atWork: 1, waiting: 3 });
    end();
    await Promise.allSettled(entered);
    expect(order).toEqual(["a0", "b2"]);
    expect(queue.counts()).toEqual({ atWork: 0, waiting: 0 });
  });

  it("has room for one client's share only", async () => {
    const queue = createWorkQueue({ atWork: 1, waiting: 3, waitingPerClient: 1 });
    await queue.enter("a", patient);
    void queue.enter("a", patient);
    await expect(queue.enter("a", patient)).rejects.toThrow("At most 1 large operations of one client may wait.");
    void queue.enter("b", patient);
    expect(queue.counts()).toEqual({ atWork: 1, waiting: 2 });
  });
});
