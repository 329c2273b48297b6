import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DATABASE_KINDS } from "../setup/databases.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const UPDATE = `mutation ($id: ID!, $input: UpdateGpuInput!, $v: Int!) {
  result: updateGpu(id: $id, input: $input, expectedVersion: $v) { gpu { version } diffs { change { id } } userErrors { code message } catalogVersion }
}`;
const REVERT = `mutation ($id: ID!, $dryRun: Boolean! = false) {
  result: revertCatalogChange(id: $id, dryRun: $dryRun) {
    node { ... on Gpu { slug name notes tdpWatts archivedAt version } }
    diffs { operation fields { field before after } change { id revertedId } }
    userErrors { code field message }
  }
}`;

describe.each(DATABASE_KINDS)("history (%s)", (kind) => {
  let editor: Editor;
  let statements: string[];
  let stop: () => Promise<void>;
  beforeAll(async () => {
    const started = await startEditors(kind);
    editor = started.editors[0];
    statements = started.statements;
    stop = started.stop;
  });
  afterAll(() => stop());

  async function run(mutation: string, variables: Record<string, unknown>, headers: Record<string, string> = {}) {
    const { data, errors } = await editor.edit(mutation, variables, headers);
    expect(errors).toBeUndefined();
    return data.result;
  }
  async function create(slug: string): Promise<{ id: string; change: string }> {
    const input = {
      slug,
      name: `Card ${slug}`,
      vendor: "NVIDIA",
      architecture: "Ada",
      class: "CONSUMER",
      form: "PCIE",
      memoryGib: 16,
      memoryType: "GDDR6",
      supportsBf16: true,
      supportsFp8: true,
      supportsFp4: false,
      sources: [{ title: "made up" }],
    };
    const made = await run(
      `mutation ($input: CreateGpuInput!) { result: createGpu(input: $input) { gpu { id } diffs { change { id } } userErrors { message } } }`,
      { input },
    );
    expect(made.userErrors).toEqual([]);
    return { id: made.gpu.id, change: made.diffs[0].change.id };
  }
  async function update(id: string, v: number, input: object): Promise<string> {
    const { userErrors, diffs } = await run(UPDATE, { id, v, input });
    expect(userErrors).toEqual([]);
    return diffs[0].change.id;
  }

  it("pages, filters and finds, newest first", async () => {
    const { id } = await create("paged");
    for (let v = 1; v <= 4; v++) await update(id, v, { tdpWatts: 100 + v });
    const fields = `totalCount pageInfo { hasNextPage hasPreviousPage endCursor startCursor } nodes { rowVersion }`;
    const list = async (args: string) =>
      (await editor.query(`{ catalogChanges(filter: { row: "${id}" }, ${args}) { ${fields} } }`)).data.catalogChanges;
    const first = await list("first: 2");
    expect(first).toMatchObject({
      totalCount: 5,
      nodes: [{ rowVersion: 5 }, { rowVersion: 4 }],
      pageInfo: { hasNextPage: true, hasPreviousPage: false },
    });
    const second = await list(`first: 2, after: "${first.pageInfo.endCursor}"`);
    expect(second).toMatchObject({
      nodes: [{ rowVersion: 3 }, { rowVersion: 2 }],
      pageInfo: { hasNextPage: true, hasPreviousPage: true },
    });
    const last = await list(`last: 2`);
    expect(last).toMatchObject({
      nodes: [{ rowVersion: 2 }, { rowVersion: 1 }],
      pageInfo: { hasNextPage: false, hasPreviousPage: true },
    });
    const back = await list(`last: 2, before: "${second.pageInfo.startCursor}"`);
    expect(back).toMatchObject({ nodes: [{ rowVersion: 5 }, { rowVersion: 4 }], pageInfo: { hasNextPage: true } });
    const { data } = await editor.query(
      `{ gpu(slug: "paged") { history(first: 1) { totalCount nodes { fields { field before after } before after } } } }`,
    );
    expect(data.gpu.history).toMatchObject({
      totalCount: 5,
      nodes: [
        {
          fields: [{ field: "tdpWatts", before: 103, after: 104 }],
          before: { slug: "paged", memoryGib: 16, tdpWatts: 103 },
          after: { slug: "paged", class: "CONSUMER", tdpWatts: 104 },
        },
      ],
    });
    const count = async (filter: string) =>
      (await editor.query(`{ catalogChanges(filter: { ${filter} }) { totalCount } }`)).data.catalogChanges.totalCount;
    expect(await count(`search: "PAGED administrator"`)).toBe(5);
    expect(await count(`search: "pa%ed"`)).toBe(0);
    expect(await count(`search: "paged", operation: CREATE`)).toBe(1);
    expect(await count(`entity: [SYSTEM]`)).toBe(0);
    expect(await count(`actor: ["nobody"]`)).toBe(0);
    const [{ requestId }] = (await editor.query(`{ gpu(slug: "paged") { history(last: 1) { nodes { requestId } } } }`))
      .data.gpu.history.nodes;
    expect(await count(`requestId: ["${requestId}", "nobody"]`)).toBe(1);
    expect(await count(`row: "${id}", at: { lte: "2020-01-01T00:00:00Z" }`)).toBe(0);
    const wrong = await editor.query(`{ catalogChanges(after: "nope") { totalCount } }`);
    expect(wrong.errors?.[0]?.extensions).toMatchObject({ code: "BAD_USER_INPUT", argument: ["after"] });
  });

  it("of a list of rows is read at once, and is of each row what it is by itself", async () => {
    for (let row = 0; row < 6; row++) {
      const { id } = await create(`listed-${row}`);
      for (let v = 1; v <= row; v++) await update(id, v, { tdpWatts: 100 + v });
    }
    const fields = `totalCount nodes { rowVersion row { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }`;
    const before = statements.length;
    const { data } = await editor.query(
      `{ gpus(filter: { search: "listed" }) { nodes { slug history(first: 3) { ${fields} } } } }`,
    );
    // Of the history only: the server also asks for the catalogue's version now and then.
    expect(statements.slice(before).filter((sql) => sql.includes("CatalogChange"))).toHaveLength(3);
    expect(data.gpus.nodes.length).toBe(6);
    for (const { slug, history } of data.gpus.nodes) {
      const changes = 1 + Number(slug.at(-1));
      const alone = await editor.query(`{ gpu(slug: "${slug}") { history(first: 3) { ${fields} } } }`);
      expect(history).toEqual(alone.data.gpu.history);
      expect(history).toMatchObject({ totalCount: changes, pageInfo: { hasNextPage: changes > 3 } });
      expect(history.nodes.map(({ rowVersion }: { rowVersion: number }) => rowVersion)).toEqual(
        Array.from({ length: Math.min(3, changes) }, (_, index) => changes - index),
      );
    }
  });

  it("names the request and its comment, and is found by its id", async () => {
    const { id } = await create("named");
    const { diffs } = await run(
      `mutation ($id: ID!) { result: updateGpu(id: $id, input: { notes: "x" }, expectedVersion: 1, comment: "because") { diffs { change { id } } } }`,
      { id },
      { "x-request-id": "from-a-client" },
    );
    const { data } = await editor.query(
      `query ($id: ID!) { node(id: $id) { id ... on CatalogChange { comment requestId row { id } } } }`,
      {
        id: diffs[0].change.id,
      },
    );
    expect(data.node).toEqual({ id: diffs[0].change.id, comment: "because", requestId: "from-a-client", row: { id } });
    expect((await editor.query(`{ node(id: "Q2F0YWxvZ0NoYW5nZTo5OTk5OTk") { id } }`)).data.node).toBeNull();
  });

  it("takes back one change and leaves what others changed since", async () => {
    const { id } = await create("reverted");
    const named = await update(id, 1, { name: "A better name", notes: "n" });
    await update(id, 2, { tdpWatts: 250 });
    const rehearsed = await run(REVERT, { id: named, dryRun: true });
    expect(rehearsed).toMatchObject({ node: { name: "Card reverted", version: 4 }, userErrors: [] });
    const reverted = await run(REVERT, { id: named });
    expect(reverted.node).toMatchObject({ name: "Card reverted", notes: null, tdpWatts: 250, version: 4 });
    expect(reverted.diffs).toMatchObject([{ operation: "UPDATE", change: { revertedId: named } }]);
    const redone = await run(REVERT, { id: reverted.diffs[0].change.id });
    expect(redone.node).toMatchObject({ name: "A better name", notes: "n", tdpWatts: 250, version: 5 });
  });

  it("refuses to take back what was changed again", async () => {
    const { id } = await create("conflict");
    const first = await update(id, 1, { name: "First", notes: "n" });
    await update(id, 2, { name: "Second" });
    const refused = await run(REVERT, { id: first });
    expect(refused.userErrors).toEqual([
      { code: "STALE", field: ["id"], message: expect.stringMatching(/^name of "conflict"/) },
    ]);
    expect(refused.node).toMatchObject({ name: "Second", version: 3 });
    expect(refused.diffs).toEqual([]);
  });

  it("takes back an addition, an archiving and a removal", async () => {
    const { id, change } = await create("undone");
    const archived = await run(
      `mutation ($id: ID!) { result: archiveGpu(id: $id, expectedVersion: 1) { diffs { change { id } } } }`,
      { id },
    );
    expect((await run(REVERT, { id: change })).userErrors).toMatchObject([{ code: "STALE" }]);
    expect((await run(REVERT, { id: archived.diffs[0].change.id })).node).toMatchObject({
      archivedAt: null,
      version: 3,
    });
    const removed = await run(REVERT, { id: change });
    expect(removed).toMatchObject({ node: null, userErrors: [], diffs: [{ operation: "DELETE" }] });
    expect((await editor.query(`{ gpu(slug: "undone") { id } }`)).data.gpu).toBeNull();
    const back = await run(REVERT, { id: removed.diffs[0].change.id });
    expect(back).toMatchObject({ node: { slug: "undone", version: 4 }, diffs: [{ operation: "CREATE" }] });
    const { data } = await editor.query(`{ gpu(slug: "undone") { id history { totalCount } } }`);
    expect(data.gpu).toEqual({ id, history: { totalCount: 5 } });
    const used = (await editor.query(`{ catalogChanges(filter: { search: "card-24gb" }) { totalCount } }`)).data;
    expect(used.catalogChanges.totalCount).toBe(0);
    expect((await run(REVERT, { id: "bm9wZQ" })).userErrors).toMatchObject([{ code: "NOT_FOUND", field: ["id"] }]);
  });
});
