import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Kind, parse } from "graphql";
import { type Browser, type BrowserContext, chromium, type Locator, type Page, type Response } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { edits } from "../../src/playground/edits.js";
import { type Example, examples } from "../../src/playground/examples.js";
import { type ServerProcess, startProcess, temporaryDataDir } from "../setup/server-process.js";

/** GraphiQL reads which operations and variables a changed editor has a moment after the change. */
const EDITOR_PAUSE_MS = 1_000;
const SCREENSHOT = fileURLToPath(new URL("../../docs/playground.png", import.meta.url));

/** Time for a test that goes through all of an editor's work. */
const LONG_TEST_MS = 240_000;

/** Runs in the page: what the content security policy refuses becomes an error on the console. */
const REPORT_REFUSALS = `document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
  console.error("content security policy: " + effectiveDirective + " refused " + blockedURI))`;

const dataDir = temporaryDataDir();
let server: ServerProcess;
let origin: string;
let browser: Browser;
let context: BrowserContext;
let page: Page;
/** What must not happen on the page: requests to elsewhere, errors, refusals by the content security policy. */
let problems: string[];

beforeAll(async () => {
  server = startProcess("build", { DATA_DIR: dataDir.path, NODE_ENV: "production" });
  origin = new URL(await server.ready).origin;
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? "/usr/bin/chromium",
    chromiumSandbox: process.getuid?.() !== 0,
    args: [
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
});

afterAll(async () => {
  await browser?.close();
  await server?.end("SIGTERM");
  dataDir.remove();
});

beforeEach(async () => {
  problems = [];
  context = await browser.newContext({ viewport: { width: 1440, height: 900 }, colorScheme: "light" });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin });
  // Everything, requests of workers included, passes here; what leaves the origin is noted and refused.
  await context.route("**/*", async (route) => {
    const url = route.request().url();
    if (new URL(url).origin === origin) return route.continue();
    problems.push(`request to ${url}`);
    return route.abort();
  });
  await context.addInitScript({ content: REPORT_REFUSALS });
  page = await context.newPage();
  page.on("websocket", (socket) => problems.push(`socket to ${socket.url()}`));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`${message.type()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("response", (response) => {
    if (response.status() >= 400) problems.push(`${response.status()} for ${response.url()}`);
  });
  await openPlayground();
});

afterEach(async () => {
  await context.close();
  expect(problems).toEqual([]);
});

/** Opens the page as a browser does and waits until the schema is loaded and the editor shows the first query. */
async function openPlayground(): Promise<void> {
  const [introspection] = await Promise.all([
    page.waitForResponse((response) => isOperation(response, "IntrospectionQuery")),
    page.goto(`${origin}/graphql`),
  ]);
  expect(await introspection.json()).not.toHaveProperty("errors");
  await page.locator(".graphiql-query-editor .view-line").first().waitFor();
}

function isOperation(response: Response, operationName: string): boolean {
  const request = response.request();
  return request.method() === "POST" && request.postDataJSON()?.operationName === operationName;
}

function operationNameOf(query: string): string {
  const operation = parse(query).definitions.find(({ kind }) => kind === Kind.OPERATION_DEFINITION);
  if (operation?.kind !== Kind.OPERATION_DEFINITION || !operation.name) throw new Error("an example has no name");
  return operation.name.value;
}

/** What the test reads of the payloads of edits and of the history. */
interface Answer {
  userErrors?: unknown[];
  diffs?: unknown[];
  scenario?: { answer: string };
  nodes?: { id: string; operation: string; slug: string }[];
}

/** Presses the execute button and returns what the server answered. */
async function execute(operationName: string): Promise<{ data?: Record<string, unknown>; errors?: unknown[] }> {
  const [response] = await Promise.all([
    page.waitForResponse((response) => isOperation(response, operationName)),
    page.getByRole("button", { name: /^Execute query/ }).click(),
  ]);
  return response.json();
}

const tabNames = (): Promise<string[]> => page.getByRole("tab").allInnerTexts();

/** Opens an example of the panel, which must be shown, in a new tab, and waits until the editor has it. */
async function openExample({ question, query }: Example): Promise<void> {
  await page.getByRole("region", { name: "Examples" }).getByRole("button", { name: question }).click();
  const title = new RegExp(`(query|mutation)\\s${operationNameOf(query)}\\b`);
  await page.locator(".graphiql-query-editor .view-line", { hasText: title }).waitFor();
}

function editNamed(name: string): Example {
  const edit = edits.find((each) => each.name === name);
  if (edit === undefined) throw new Error(`there is no example of an edit called ${name}`);
  return edit;
}

/** Replaces the text of an editor by what the clipboard has: typed brackets would be closed by the editor itself. */
async function paste(editor: Locator, text: string): Promise<void> {
  await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
  await editor.click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.press("ControlOrMeta+v");
  await page.waitForTimeout(EDITOR_PAUSE_MS);
}

const queryEditor = (): Locator => page.locator(".graphiql-query-editor .monaco-editor").first();

/** The editor of variables or of headers, brought to the front. */
async function toolEditor(tool: "Variables" | "Headers"): Promise<Locator> {
  await page.locator(".graphiql-editor-tools").getByRole("button", { name: tool, exact: true }).click();
  return page.getByRole("region", { name: tool, exact: true }).locator(":scope > :not(.hidden) .monaco-editor").first();
}

describe("the playground", () => {
  it("opens at /graphql under its name, with one tab for each example", async () => {
    expect(await page.title()).toBe("vramql");
    expect(await tabNames()).toEqual(examples.map(({ query }) => operationNameOf(query)));
    await page.locator(".graphiql-query-editor .view-line", { hasText: "How much memory does DeepSeek V3" }).waitFor();
  });

  it("answers the first example at the press of the button", async () => {
    const { data, errors } = await execute("DeepSeekV3");
    expect(errors).toBeUndefined();
    expect(data?.scenario).toMatchObject({ answer: expect.stringMatching(/\d/), verdict: expect.stringMatching(/\S/) });
    await page.locator(".graphiql-response .view-line", { hasText: '"scenario"' }).waitFor();
    if (process.env.UPDATE_SCREENSHOT === "1") {
      mkdirSync(fileURLToPath(new URL(".", `file://${SCREENSHOT}`)), { recursive: true });
      await page.screenshot({ path: SCREENSHOT });
    }
  });

  it("runs every example without an error", async () => {
    for (const name of examples.map(({ query }) => operationNameOf(query))) {
      await page.getByRole("tab", { name }).click();
      await page.locator(".graphiql-query-editor .view-line", { hasText: new RegExp(`query\\s${name}\\b`) }).waitFor();
      await page.waitForTimeout(EDITOR_PAUSE_MS);
      const { data, errors } = await execute(name);
      expect(errors, name).toBeUndefined();
      expect(Object.values(data ?? {}), name).not.toContain(null);
      expect(Object.keys(data ?? {}).length, name).toBeGreaterThan(0);
      await page.locator(".graphiql-response .view-line", { hasText: '"data"' }).waitFor();
      expect(await page.locator(".graphiql-editors .squiggly-error").count(), name).toBe(0);
    }
  });

  it("shows the documentation of the schema", async () => {
    await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    const explorer = page.locator(".graphiql-doc-explorer");
    await explorer.getByRole("link", { name: "Query", exact: true }).click();
    await explorer.getByRole("link", { name: "estimate", exact: true }).first().click();
    await explorer.getByText("Memory that one model needs, set up as described.").waitFor();
  });

  it("opens an example again from the panel", async () => {
    await page.getByRole("button", { name: "Show Examples" }).click();
    const example = examples.find(({ variables }) => variables !== undefined);
    if (!example) throw new Error("no example has variables");
    await page.getByRole("region", { name: "Examples" }).getByRole("button", { name: example.question }).click();
    await expect.poll(tabNames).toHaveLength(examples.length + 1);
    const { data, errors } = await execute(operationNameOf(example.query));
    expect(errors).toBeUndefined();
    expect(Object.keys(data ?? {}).length).toBeGreaterThan(0);
  });

  it(
    "lets an editor add a model, a card, its price and a scenario, see an estimate change, and undo it",
    async () => {
      const token = readFileSync(join(dataDir.path, "admin-token"), "utf8").trim();
      await page.getByRole("button", { name: "Show Examples" }).click();

      const run = async (example: Example, variables?: object): Promise<Answer> => {
        const changed = { ...JSON.parse(example.variables ?? "{}"), ...variables };
        await paste(await toolEditor("Variables"), JSON.stringify(changed));
        const { data, errors } = await execute(operationNameOf(example.query));
        expect(errors, example.name).toBeUndefined();
        const answer = Object.values(data ?? {}).at(-1) as Answer;
        expect(answer.userErrors ?? [], example.name).toEqual([]);
        return answer;
      };
      const saved = { dryRun: false };

      // Without a token nothing happens, and the answer says why; what is given once goes along into the next tabs.
      const addModel = editNamed("add-model");
      await openExample(addModel);
      await page.waitForTimeout(EDITOR_PAUSE_MS);
      expect((await execute("AddModel")).errors).toMatchObject([{ extensions: { code: "UNAUTHENTICATED" } }]);
      await paste(await toolEditor("Headers"), JSON.stringify({ authorization: `Bearer ${token}` }));

      // 2 x 32,768 x 4,096 for the vocabulary, 32 blocks of 218,112,000 and a norm of 4,096.
      expect(await run(addModel)).toMatchObject({
        found: { parameters: 7_248_023_552 },
        diffs: [{ operation: "CREATE" }],
      });
      const added = await run(addModel, saved);
      expect(added).toMatchObject({ model: { slug: "example-7b", version: 1 } });

      const addGpu = editNamed("add-gpu");
      await openExample(addGpu);
      expect(await run(addGpu, saved)).toMatchObject({ gpu: { slug: "example-card-48gb", version: 1 } });

      const setPrices = editNamed("set-prices");
      await openExample(setPrices);
      const inputs = [{ slug: "example-card-48gb", usdPerHour: 0.5 }];
      expect(await run(setPrices, { ...saved, inputs })).toMatchObject({ gpus: [{ usdPerHour: 0.5, version: 2 }] });

      const addScenario = editNamed("add-scenario");
      await openExample(addScenario);
      const input = { ...JSON.parse(addScenario.variables ?? "{}").input, model: { slug: "example-7b" } };
      const { scenario } = await run(addScenario, { ...saved, input });
      expect(scenario?.answer).toMatch(/^Example 7B takes \d+\.\d+ GiB/);

      // The estimate has the new model on the new card at the new price.
      await page.getByRole("button", { name: "New tab" }).click();
      const ask = async (): Promise<unknown> => {
        const { data } = await execute("Asked");
        return (data as { estimate: { cost: { usdPerHour: number | null } } }).estimate.cost.usdPerHour;
      };
      await paste(
        queryEditor(),
        `query Asked { estimate(input: { model: { slug: "example-7b" }, quant: "q4_k_m",
        hardware: { gpus: [{ gpu: "example-card-48gb" }] } }) { total { gib } cost { usdPerHour } } }`,
      );
      expect(await ask()).toBe(0.5);

      const history = editNamed("history");
      await openExample(history);
      const { nodes = [] } = await run(history, { filter: { search: "example-card" } });
      expect(nodes.map(({ operation, slug }) => [operation, slug])).toEqual([
        ["UPDATE", "example-card-48gb"],
        ["CREATE", "example-card-48gb"],
      ]);

      const undo = editNamed("undo");
      await openExample(undo);
      const { diffs } = await run(undo, { ...saved, id: nodes[0]?.id });
      expect(diffs).toMatchObject([{ fields: [{ field: "usdPerHour", before: 0.5, after: null }] }]);
      await page.getByRole("tab", { name: "Asked" }).click();
      await page.waitForTimeout(EDITOR_PAUSE_MS);
      expect(await ask()).toBeNull();
    },
    LONG_TEST_MS,
  );

  it("marks a field that the schema does not have: the language worker runs", async () => {
    await page.getByRole("button", { name: "New tab" }).click();
    await queryEditor().click();
    await page.keyboard.insertText("{ estimateTypo }");
    await page.locator(".graphiql-query-editor .squiggly-error").first().waitFor();
  });

  it("is served under a policy that lets it reach nothing but this server", async () => {
    const response = await page.request.get(`${origin}/graphql`, { headers: { accept: "text/html" } });
    const policy = response.headers()["content-security-policy"] ?? "";
    expect(policy).toMatch(/(^|; *)default-src '(self|none)'(;|$)/);
    expect(policy).toMatch(/(^|; *)script-src 'self'(;|$)/);
    expect(policy).toMatch(/(^|; *)connect-src 'self'(;|$)/);
  });
});
