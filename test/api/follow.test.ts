import { createClient } from "graphql-sse";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS } from "../setup/databases.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const FOLLOW = `subscription ($entity: [CatalogEntity!], $since: SafeInt) {
  catalogChanged(entity: $entity, sinceVersion: $since) { catalogVersion at changes { entity slug operation rowVersion changeId } }
}`;

/** An open stream, read event by event. */
interface Stream {
  response: Response;
  /** The next event, comments left out; null at the end. */
  next(): Promise<{ id: string | undefined; type: string | undefined; data: Record<string, never> } | null>;
  close(): void;
}

async function open(
  { url }: Editor,
  body: object = { query: FOLLOW },
  headers: Record<string, string> = {},
): Promise<Stream> {
  const ending = new AbortController();
  const response = await fetch(`${url}/graphql/stream`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/event-stream", ...headers },
    body: JSON.stringify(body),
    signal: ending.signal,
  });
  return { response, next: eventsOf(response), close: () => ending.abort() };
}

function eventsOf(response: Response): Stream["next"] {
  let reader: ReadableStreamDefaultReader<string> | undefined;
  let text = "";
  return async () => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end === -1) {
        reader ??= response.body?.pipeThrough(new TextDecoderStream()).getReader();
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) return null;
        text += value;
        continue;
      }
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field("data");
      if (data !== undefined) return { id: field("id"), type: field("event"), data: JSON.parse(data).data };
    }
  };
}

describe.each(DATABASE_KINDS)("following the catalogue, %s", (kind) => {
  let first: Editor;
  let last: Editor;
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors(kind, kind === "postgres" ? 2 : 1);
    first = started.editors[0];
    last = started.editors.at(-1) as Editor;
    stop = started.stop;
  });
  afterAll(() => stop());

  let edits = 0;
  /** Edits a card; returns the version of the catalogue. */
  const edit = async (): Promise<number> => {
    const { data } = await first.query(`{ gpu(slug: "card-24gb") { id version } }`);
    edits += 1;
    const answer = await first.edit(
      `mutation ($id: ID!, $version: Int!, $notes: String) {
        updateGpu(id: $id, expectedVersion: $version, input: { notes: $notes }, comment: "private") { catalogVersion userErrors { message } }
      }`,
      { id: data.gpu.id, version: data.gpu.version, notes: `edit ${edits}` },
    );
    expect(answer.data.updateGpu.userErrors).toEqual([]);
    return answer.data.updateGpu.catalogVersion;
  };

  it("tells each edit, on whichever server, once that server has it", async () => {
    const stream = await open(last);
    expect(stream.response.status).toBe(200);
    expect(stream.response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    for (let round = 0; round < 3; round++) {
      const version = await edit();
      const event = await stream.next();
      expect(event).toMatchObject({ type: "next", id: expect.stringMatching(/^\d+$/) });
      expect(event?.data).toEqual({
        catalogChanged: {
          catalogVersion: version,
          at: expect.any(String),
          changes: [
            {
              entity: "GPU",
              slug: "card-24gb",
              operation: "UPDATE",
              rowVersion: expect.any(Number),
              changeId: expect.any(String),
            },
          ],
        },
      });
      expect((await last.query("{ catalogVersion }")).data.catalogVersion).toBeGreaterThanOrEqual(version);
    }
    stream.close();
  });

  it("goes on behind a version, and behind an event", async () => {
    const since = await edit();
    const versions = [await edit(), await edit(), await edit()];
    const stream = await open(last, { query: FOLLOW, variables: { since } });
    const events = [await stream.next(), await stream.next(), await stream.next()];
    expect(events.map((event) => event?.data)).toMatchObject(
      versions.map((catalogVersion) => ({ catalogChanged: { catalogVersion } })),
    );
    stream.close();
    const again = await open(last, { query: FOLLOW }, { "last-event-id": String(events[0]?.id) });
    expect((await again.next())?.data).toMatchObject({ catalogChanged: { catalogVersion: versions[1] } });
    expect((await again.next())?.data).toMatchObject({ catalogChanged: { catalogVersion: versions[2] } });
    again.close();
  });

  it("leaves out what was not asked for", async () => {
    const stream = await open(last, { query: FOLLOW, variables: { entity: ["MODEL"] } });
    await edit();
    const { data } = await first.query("{ models(first: 1) { nodes { id version slug } } }");
    const [model] = data.models.nodes;
    const archived = await first.edit(
      `mutation ($id: ID!, $v: Int!) { updateModel(id: $id, expectedVersion: $v, input: { vendor: "Somebody" }) { userErrors { message } } }`,
      { id: model.id, v: model.version },
    );
    expect(archived.data.updateModel.userErrors).toEqual([]);
    expect((await stream.next())?.data).toMatchObject({ catalogChanged: { changes: [{ slug: model.slug }] } });
    stream.close();
  });

  it("speaks the protocol of graphql-sse, and GET as browsers do", async () => {
    const client = createClient({ url: `${last.url}/graphql/stream`, retryAttempts: 0 });
    const results = client.iterate({ query: FOLLOW, variables: { since: 0 } });
    expect((await results.next()).value).toMatchObject({ data: { catalogChanged: { changes: [{}] } } });
    await results.return?.();
    client.dispose();
    const query = encodeURIComponent("subscription { catalogChanged(sinceVersion: 0) { catalogVersion } }");
    const ending = new AbortController();
    const response = await fetch(`${last.url}/graphql/stream?query=${query}`, {
      headers: { accept: "text/event-stream" },
      signal: ending.signal,
    });
    expect((await eventsOf(response)())?.data).toMatchObject({
      catalogChanged: { catalogVersion: expect.any(Number) },
    });
    ending.abort();
  });

  it.each<[string, object, Record<string, string>, number, RegExp]>([
    ["a query", { query: "{ catalogVersion }" }, {}, 400, /send it to \/graphql/],
    ["a mutation", { query: 'mutation { revokeApiToken(id: "x") { userErrors { code } } }' }, {}, 400, /no stream/],
    ["what is no GraphQL", { query: "subscription {" }, {}, 400, /Syntax Error/],
    ["unknown fields", { query: "subscription { catalogChanged { nope } }" }, {}, 400, /Cannot query field/],
    ["a version that cannot be", { query: FOLLOW, variables: { since: -1 } }, {}, 400, /sinceVersion/],
    ["a variable of the wrong type", { query: FOLLOW, variables: { since: "x" } }, {}, 400, /since/],
    ["no document", {}, {}, 400, /`query` must/],
    ["a list", [], {}, 400, /`query` must/],
    ["a body that is no JSON", { query: FOLLOW }, { "content-type": "text/plain" }, 415, /JSON/],
    ["other answers", { query: FOLLOW }, { accept: "application/json" }, 406, /accept/],
    ["pages of other sites", { query: FOLLOW }, { origin: "https://evil.example" }, 403, /origin/],
    [
      "too much at once",
      { query: `subscription { catalogChanged { ${Array.from({ length: 130 }, (_, i) => `a${i}: at`).join(" ")} } }` },
      {},
      400,
      /too large/,
    ],
    ["a huge document", { query: `subscription { catalogChanged { ${"at ".repeat(6_000)} } }` }, {}, 400, /tokens/],
  ])("refuses %s", async (_, body, headers, status, message) => {
    const { response } = await open(first, body, headers);
    expect(response.status).toBe(status);
    const { errors } = (await response.json()) as { errors: { message: string; extensions: { code: string } }[] };
    expect(errors[0]?.message).toMatch(message);
    expect(errors[0]?.extensions.code).not.toBe("INTERNAL_SERVER_ERROR");
  });

  it("is told where the stream is by the address of queries", async () => {
    const { errors } = await first.query(FOLLOW);
    expect(errors?.[0]).toMatchObject({
      message: expect.stringMatching(/\/graphql\/stream/),
      extensions: { code: "BAD_USER_INPUT", stream: "/graphql/stream" },
    });
  });

  it("has a bounded number of streams for one client, and room again when one ends", async () => {
    const streams = await Promise.all(Array.from({ length: 13 }, () => open(first)));
    const refused = streams.filter(({ response }) => response.status === 429);
    expect(refused).toHaveLength(1);
    expect(refused[0]?.response.headers.get("retry-after")).toBe("10");
    for (const { close } of streams) close();
    await expect
      .poll(async () => {
        const stream = await open(first);
        stream.close();
        return stream.response.status;
      })
      .toBe(200);
  });

  it("ends streams when the server stops, without completing them", async () => {
    const stream = await open(last);
    const ended = stream.next();
    await last.drain();
    expect(await ended).toBeNull();
  });
});
