import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { architectureFromConfig } from "../../src/estimator/architecture/from-config.js";
import { describeAsGguf } from "../fixtures/gguf-header.js";
import { writeGguf } from "../setup/gguf-file.js";
import { type Answer, type HubStandIn, refuse, STAND_IN_COMMIT, sendJson, startHub } from "../setup/hub-stand-in.js";
import { type Editor, startEditors } from "./setup/start-editor.js";

const CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 2048,
  intermediate_size: 8192,
  num_attention_heads: 32,
  num_hidden_layers: 16,
  num_key_value_heads: 8,
  head_dim: 64,
  vocab_size: 32_000,
  max_position_embeddings: 131_072,
  tie_word_embeddings: true,
};
const ARCHITECTURE = architectureFromConfig(CONFIG);
/** 32,000 x 2048 + 16 (2 x 2048 x 2048 + 2 x 2048 x 512 + 3 x 2048 x 8192 + 2 x 2048) + 2048 */
const PARAMETERS = 1_038_682_112;

const TOKEN = "hf_token-of-the-tests";
const LIMITS = { requestMs: 700, importMs: 3_000, requests: 25, answerBytes: 3 * 2 ** 20, totalBytes: 12 * 2 ** 20 };

const IMPORT = /* GraphQL */ `
  mutation ($input: ImportModelInput!, $dryRun: Boolean! = false) {
    importModel(input: $input, dryRun: $dryRun) {
      model { slug name licence huggingFaceRepo publishedParameters parametersNote parameters version sources { title url } }
      modelFiles { slug repo fileName quantName size { bytes } quantFormat { slug } model { slug } }
      diffs { entity operation slug fields { field } }
      found {
        source repo baseRepo commit parameters publishedParameters parametersDifference notes
        checkpoint { method }
        files { fileName shards quantName size { bytes } quantFormat { slug } modelFile { slug } note }
      }
      userErrors { code field message }
      catalogVersion
    }
  }
`;

/** A file of the model in F16, with a tokenizer. */
const described = describeAsGguf(ARCHITECTURE);
const gguf = writeGguf(described, 32_000);
/** The second of two shards, without tensors. */
const secondShard = writeGguf({ metadata: { "split.count": 2, "split.no": 1 }, tensors: [] });

const text = (value: unknown) => ({ content: JSON.stringify(value) });
const repository = (files = {}, info = {}) => ({
  info: {
    tags: ["transformers", "license:llama3.2"],
    cardData: { license: "llama3.2" },
    safetensors: { parameters: { BF16: PARAMETERS }, total: PARAMETERS },
    ...info,
  },
  files: {
    "README.md": { content: "# A model" },
    "config.json": text(CONFIG),
    "model-00001-of-00002.safetensors": { content: "", sizeBytes: 1_000_000_000, isLarge: true },
    "model-00002-of-00002.safetensors": { content: "", sizeBytes: 1_077_000_000, isLarge: true },
    ...files,
  },
});
const ggufRepository = (base: string) => ({
  info: { tags: ["gguf", `base_model:quantized:${base}`], cardData: { license: "other", license_name: "its own" } },
  files: {
    "small-llama-1b-F16.gguf": { content: gguf.header, sizeBytes: gguf.sizeBytes, isLarge: true },
    "Q8_0/small-llama-1b-Q8_0-00001-of-00002.gguf": { content: gguf.header, sizeBytes: 1_000_000_000, isLarge: true },
    "Q8_0/small-llama-1b-Q8_0-00002-of-00002.gguf": {
      content: secondShard.header,
      sizeBytes: 104_000_000,
      isLarge: true,
    },
    "small-llama-1b-UD-Q4_K_XL.gguf": { content: "", sizeBytes: 3_000_000_000, isLarge: true },
    "small-llama-1b-Q4_K_M-00001-of-00003.gguf": { content: "", sizeBytes: 1, isLarge: true },
    "mmproj-F16.gguf": { content: "", sizeBytes: 9, isLarge: true },
  },
});

let hub: HubStandIn;
let elsewhere: HubStandIn;
let editor: Editor;
let withFileHost: Editor;
let stops: (() => Promise<void>)[];

beforeAll(async () => {
  const large = {
    "maker/Llama-GGUF": ggufRepository("nobody/Nothing"),
    "maker/New-GGUF": ggufRepository("nobody/New"),
  };
  [hub, elsewhere] = [
    await startHub({
      "acme/Small-Llama-1B": repository(),
      "acme/Small-Llama-1B-AWQ": repository(
        { "config.json": text({ ...CONFIG, quantization_config: { quant_method: "awq", bits: 4, group_size: 128 } }) },
        { safetensors: { parameters: { I32: 1_000, F16: 1_000 } }, tags: ["base_model:quantized:acme/Small-Llama-1B"] },
      ),
      "maker/Small-Llama-1B-GGUF": ggufRepository("acme/Small-Llama-1B"),
      "maker/Adapter": { files: { "adapter_config.json": text({}) } },
      "maker/Empty": { files: {} },
      ...large,
    }),
    await startHub(large),
  ];
  const settings = { url: hub.url, token: TOKEN, fileOrigins: [] };
  const started = await startEditors("embedded", 1, { hub: { settings, limits: LIMITS } });
  const allowing = { settings: { ...settings, fileOrigins: [elsewhere.url] }, limits: LIMITS };
  const others = await startEditors("embedded", 1, { hub: allowing });
  [editor] = started.editors;
  [withFileHost] = others.editors;
  stops = [started.stop, others.stop, hub.stop, elsewhere.stop];
});
afterAll(async () => {
  for (const stop of stops) await stop();
});
beforeEach(() => {
  hub.reset();
  elsewhere.reset();
});

async function importRepository(
  repo: string,
  more: object = {},
  { dryRun = false, at = editor, revision = "main" } = {},
) {
  const input = { source: { huggingFace: { repo, revision } }, ...more };
  const { data, errors } = await at.edit(IMPORT, { input, dryRun });
  expect(errors).toBeUndefined();
  return data.importModel;
}

describe("importModel of a repository", () => {
  it("adds the model with what the hub says: licence, published parameters, the commit that was read", async () => {
    hub.pageSize = 2;
    const { model, found, diffs, userErrors } = await importRepository("acme/Small-Llama-1B");
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({
      slug: "small-llama-1b",
      licence: "Llama 3.2 Community License",
      huggingFaceRepo: "acme/Small-Llama-1B",
      parameters: PARAMETERS,
      publishedParameters: PARAMETERS,
      sources: [{ title: "config.json of acme/Small-Llama-1B", url: "https://huggingface.co/acme/Small-Llama-1B" }],
    });
    expect(found).toMatchObject({
      repo: "acme/Small-Llama-1B",
      baseRepo: null,
      commit: STAND_IN_COMMIT,
      publishedParameters: PARAMETERS,
      parametersDifference: 0,
      checkpoint: null,
      notes: [],
      files: [
        { fileName: "model-00001-of-00002.safetensors", shards: 2, size: { bytes: 2_077_000_000 }, modelFile: null },
      ],
    });
    expect(diffs).toMatchObject([{ entity: "MODEL", operation: "CREATE" }]);
    // All of it is read at one commit, with the token.
    expect(hub.requests.every(({ authorization }) => authorization === `Bearer ${TOKEN}`)).toBe(true);
    expect(hub.requests.filter(({ path }) => path.includes("/resolve/") || path.includes("/tree/"))).not.toEqual([]);
    for (const { path } of hub.requests.slice(1)) expect(path).toContain(STAND_IN_COMMIT);
  });

  it("adds a repository's GGUF files to the model that they are quantizations of, each with its exact size", async () => {
    const { model, modelFiles, found, diffs, userErrors } = await importRepository("maker/Small-Llama-1B-GGUF");
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({ slug: "small-llama-1b", version: 1, licence: "Llama 3.2 Community License" });
    expect(
      diffs.map(({ entity, operation }: { entity: string; operation: string }) => `${operation} ${entity}`),
    ).toEqual(Array(3).fill("CREATE MODEL_FILE"));
    expect(modelFiles).toMatchObject([
      { slug: "small-llama-1b-maker-f16", size: { bytes: gguf.sizeBytes }, quantFormat: null },
      {
        slug: "small-llama-1b-maker-q8_0",
        fileName: "Q8_0/small-llama-1b-Q8_0-00001-of-00002.gguf",
        quantName: "Q8_0",
        size: { bytes: 1_104_000_000 },
        quantFormat: { slug: "q8_0" },
        model: { slug: "small-llama-1b" },
      },
      { slug: "small-llama-1b-maker-ud-q4_k_xl", quantName: "UD-Q4_K_XL", quantFormat: null },
    ]);
    expect(found.baseRepo).toBe("acme/Small-Llama-1B");
    expect(found.notes.join(" ")).toMatch(/1 of 3 shards.*mmproj-F16\.gguf|mmproj-F16\.gguf.*1 of 3 shards/);
    // An estimate takes the file's size from then on.
    const { data } = await editor.query(
      '{ estimate(input: { model: { slug: "small-llama-1b" }, quant: "q8_0" }) { weights { file { slug } } } }',
    );
    expect(data.estimate.weights.file.slug).toBe("small-llama-1b-maker-q8_0");
  });

  it("changes nothing when nothing has changed, and a file's size when that has", async () => {
    const again = await importRepository("maker/Small-Llama-1B-GGUF");
    expect({ diffs: again.diffs, errors: again.userErrors }).toEqual({ diffs: [], errors: [] });
    const repositoryOfFiles = hub.repositories["maker/Small-Llama-1B-GGUF"];
    const shard = repositoryOfFiles?.files["Q8_0/small-llama-1b-Q8_0-00002-of-00002.gguf"];
    if (shard === undefined) throw new Error("the stand-in lacks a file");
    shard.sizeBytes = 105_000_000;
    const { diffs, modelFiles } = await importRepository("maker/Small-Llama-1B-GGUF");
    expect(diffs).toMatchObject([{ operation: "UPDATE", slug: "small-llama-1b-maker-q8_0" }]);
    expect(modelFiles[1].size.bytes).toBe(1_105_000_000);
  });

  it("takes a quantized checkpoint for one of its model, and does not compare packed elements with parameters", async () => {
    const { model, found, modelFiles, userErrors } = await importRepository("acme/Small-Llama-1B-AWQ");
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({ slug: "small-llama-1b", publishedParameters: PARAMETERS });
    expect(found).toMatchObject({
      baseRepo: "acme/Small-Llama-1B",
      checkpoint: { method: "awq" },
      publishedParameters: null,
    });
    expect(modelFiles).toMatchObject([
      { slug: "small-llama-1b-acme-awq", size: { bytes: 2_077_000_000 }, quantFormat: null },
    ]);
    expect(found.notes.join(" ")).toContain("I32");
  });

  it("describes a model that only has GGUF files by the header of the smallest, read by ranges", async () => {
    const { model, found, userErrors } = await importRepository("maker/Llama-GGUF", { slug: "llama-x" });
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({
      slug: "llama-x",
      parameters: PARAMETERS,
      licence: "its own",
      huggingFaceRepo: "nobody/Nothing",
    });
    expect(found.source).toContain("small-llama-1b-Q8_0-00001-of-00002.gguf");
  });

  it("takes names and sizes from the hub where headers cannot be read, for a model that is there", async () => {
    hub.sendFilesTo = elsewhere.url;
    const { found, modelFiles, userErrors } = await importRepository("maker/Small-Llama-1B-GGUF");
    expect(userErrors).toEqual([]);
    expect(modelFiles).toHaveLength(3);
    expect(found).toMatchObject({ source: "Files of maker/Small-Llama-1B-GGUF", parameters: PARAMETERS });
    expect(found.notes[0]).toContain("HUGGINGFACE_FILE_HOSTS");
    expect(elsewhere.requests).toEqual([]);
  });

  it("follows the hub to the hosts that are set for its files alone, and keeps the token from them", async () => {
    hub.sendFilesTo = elsewhere.url;
    const refused = await importRepository("maker/New-GGUF", { slug: "llama-y" });
    expect(refused.userErrors).toMatchObject([{ code: "REFUSED_HOST" }]);
    expect(refused.userErrors[0].message).toContain("HUGGINGFACE_FILE_HOSTS");
    expect(elsewhere.requests).toEqual([]);
    const allowed = await importRepository("maker/New-GGUF", { slug: "llama-y" }, { at: withFileHost });
    expect(allowed.userErrors).toEqual([]);
    expect(elsewhere.requests.length).toBeGreaterThan(0);
    expect(elsewhere.requests.filter(({ authorization }) => authorization !== undefined)).toEqual([]);
  });

  it("counts parameters by the index or the file's header where the hub has not, and says when it cannot", async () => {
    const index = {
      metadata: { total_parameters: PARAMETERS, total_size: 2 * PARAMETERS },
      weight_map: { a: "model-00001-of-00002.safetensors" },
    };
    const named = (files: object) => repository(files, { safetensors: undefined });
    hub.repositories["acme/Indexed"] = named({ "model.safetensors.index.json": text(index) });
    hub.repositories["acme/Cut"] = named({
      "model.safetensors.index.json": { content: JSON.stringify(index).slice(0, 40) },
    });
    const header = JSON.stringify({ a: { dtype: "BF16", shape: [1000, 1000], data_offsets: [0, 2_000_000] } });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const single = { content: Buffer.concat([length, Buffer.from(header)]), sizeBytes: 2_000_100, isLarge: true };
    hub.repositories["acme/Single"] = { info: {}, files: { "config.json": text(CONFIG), "model.safetensors": single } };
    const dry = { dryRun: true };
    expect((await importRepository("acme/Indexed", {}, dry)).found.publishedParameters).toBe(PARAMETERS);
    expect((await importRepository("acme/Single", {}, dry)).found.publishedParameters).toBe(1_000_000);
    const cut = await importRepository("acme/Cut", {}, dry);
    expect(cut.userErrors).toEqual([]);
    expect(cut.found.publishedParameters).toBeNull();
    expect(cut.found.notes.join(" ")).toContain("is cut off");
  });
});

const INFO = "/api/models/acme/Small-Llama-1B/revision";
const TREE = "/api/models/acme/Small-Llama-1B/tree";
const FILE = "/acme/Small-Llama-1B/resolve";

const never: Answer = () => {};
const raw =
  (body: string | Buffer, headers: Record<string, string | number> = {}): Answer =>
  (_, response) => {
    response.writeHead(200, { "content-type": "application/json", ...headers });
    response.end(body);
  };
const redirect =
  (location: string | (() => string)): Answer =>
  (_, response) => {
    response.writeHead(302, { location: typeof location === "string" ? location : location() });
    response.end();
  };
const endless =
  (chunk: Buffer, everyMs: number): Answer =>
  (_, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    const timer = setInterval(() => response.write(chunk), everyMs);
    response.on("close", () => clearInterval(timer));
  };
const cutOff: Answer = (_, response) => {
  response.writeHead(200, { "content-length": 1_000 });
  response.write('{"id": ');
  setTimeout(() => response.destroy(), 20);
};

describe("importModel of a hub that misbehaves", () => {
  it.each<[string, string, Answer, string, RegExp]>([
    ["does not answer", INFO, never, "TIMED_OUT", /in time/],
    ["sends a byte now and then", TREE, endless(Buffer.from(" "), 50), "TIMED_OUT", /in time/],
    ["breaks off", FILE, cutOff, "UNREACHABLE", /broke off/],
    ["announces more than is read", FILE, raw("{}", { "content-length": 2 ** 40 }), "TOO_LARGE", /3 MiB/],
    ["never stops sending", TREE, endless(Buffer.alloc(2 ** 20, " "), 1), "TOO_LARGE", /3 MiB/],
    ["sends JSON that is cut off", INFO, raw('{"id": "acme/'), "INVALID", /cut off/],
    ["sends a page instead", INFO, raw("<html></html>"), "INVALID", /cut off/],
    ["sends null about the repository", INFO, raw("null"), "INVALID", /not of the form/],
    ["sends an object for a list", TREE, raw('{"length": 3}'), "INVALID", /not of the form/],
    ["lists files of another kind", TREE, raw('[{"type": "file", "path": 7}]'), "INVALID", /not of the form/],
    [
      "sends a config that is cut off",
      FILE,
      raw('{"model_type": "llama", '),
      "INVALID",
      /config\.json of acme.*cut off/,
    ],
    ["sends a config that is none", FILE, raw("[1]"), "INVALID", /not a JSON object/],
    ["redirects to another host", FILE, redirect(() => `${elsewhere.url}/x`), "REFUSED_HOST", /not contacted/],
    ["redirects to a host by another scheme", INFO, redirect("file:///etc/passwd"), "REFUSED_HOST", /not contacted/],
    ["redirects into a data URL", FILE, redirect("data:application/json,{}"), "REFUSED_HOST", /not contacted/],
    ["redirects to no address", INFO, redirect("http://[oops"), "REFUSED_HOST", /none/],
    ["redirects in circles", INFO, redirect(INFO), "UNREACHABLE", /in circles/],
    ["has a fault", INFO, (_, response) => refuse(response, 503, ""), "UNREACHABLE", /503/],
    ["answers oddly", INFO, (_, response) => refuse(response, 418, ""), "UNREACHABLE", /418/],
    [
      "wants fewer requests",
      INFO,
      (_, response) => refuse(response, 429, "", { "retry-after": "30" }),
      "RATE_LIMITED",
      /in 30 seconds/,
    ],
    [
      "has a gated repository",
      FILE,
      (_, response) => refuse(response, 403, "GatedRepo"),
      "GATED",
      /accept its conditions/,
    ],
    ["gates without a token", FILE, (_, response) => refuse(response, 401, "GatedRepo"), "GATED", /gated/],
    [
      "has a private repository",
      INFO,
      (_, response) => refuse(response, 401, "RepoNotFound"),
      "PRIVATE",
      /or it is private/,
    ],
    [
      "takes no such token",
      INFO,
      (_, response) => refuse(response, 401, ""),
      "PRIVATE",
      /does not accept HUGGINGFACE_TOKEN/,
    ],
    ["forbids it", TREE, (_, response) => refuse(response, 403, ""), "PRIVATE", /HUGGINGFACE_TOKEN/],
    [
      "does not know it",
      INFO,
      (_, response) => refuse(response, 404, "RepoNotFound"),
      "NOT_FOUND",
      /no such repository/,
    ],
  ])("which %s", async (_, path, fault, code, message) => {
    hub.faults.set(path, fault);
    const before = editor.source.current().version;
    const { model, found, userErrors } = await importRepository("acme/Small-Llama-1B");
    expect(userErrors).toMatchObject([{ code, field: ["input", "source", "huggingFace", "repo"] }]);
    expect(userErrors[0].message).toMatch(message);
    expect(userErrors[0].message).not.toContain(TOKEN);
    expect({ model, found }).toEqual({ model: null, found: null });
    expect(editor.source.current().version).toBe(before);
    expect(elsewhere.requests).toEqual([]);
  });

  it("whose list of files has no end", async () => {
    hub.faults.set(TREE, (request, response) => {
      response.setHeader("link", `<${hub.url}${request.url}>; rel="next"`);
      sendJson(response, []);
    });
    const { userErrors } = await importRepository("acme/Small-Llama-1B");
    expect(userErrors).toMatchObject([{ code: "TOO_LARGE" }]);
    hub.faults.set(TREE, (_, response) => {
      response.setHeader("link", `<${elsewhere.url}/next>; rel="next"`);
      sendJson(response, []);
    });
    expect((await importRepository("acme/Small-Llama-1B")).userErrors).toMatchObject([{ code: "REFUSED_HOST" }]);
    expect(elsewhere.requests).toEqual([]);
  });

  it("whose facts are of other kinds, with names of prototypes and Python's numbers", async () => {
    const config = JSON.stringify(CONFIG).replace(
      "{",
      '{"__proto__": {"hidden_size": 1}, "x": [Infinity, -Infinity, NaN], ',
    );
    hub.repositories["acme/Odd"] = repository(
      { "config.json": { content: config }, __proto__x: { content: "" } },
      {
        sha: { toString: 1 },
        tags: "many",
        cardData: [],
        safetensors: { parameters: { BF16: -1 } },
      },
    );
    const { model, userErrors } = await importRepository("acme/Odd", {}, { dryRun: true });
    expect(userErrors).toEqual([]);
    expect(model).toMatchObject({ slug: "odd", parameters: PARAMETERS, licence: null, publishedParameters: null });
  });

  it.each<[string, string, RegExp]>([
    ["an adapter", "maker/Adapter", /adapter/],
    ["an empty one", "maker/Empty", /nothing in it/],
  ])("and of a repository that is %s", async (_, repo, message) => {
    const { userErrors } = await importRepository(repo);
    expect(userErrors).toMatchObject([{ code: "INVALID" }]);
    expect(userErrors[0].message).toMatch(message);
  });

  it.each([
    "https://example.org/a/b",
    "acme",
    "acme/a/b",
    "../../etc/passwd",
    "acme/..",
    "acme/a?x=1",
    "acme/a#b",
    "acme/a b",
    "acme/a\n",
    "@example.org/a",
    `acme/${"a".repeat(200)}`,
    "",
  ])("is not even asked for %j", async (repo) => {
    const { userErrors } = await importRepository(repo);
    expect(userErrors).toMatchObject([{ code: "INVALID", field: ["input", "source", "huggingFace", "repo"] }]);
    expect(hub.requests).toEqual([]);
  });

  it("says that there is no such revision, and asks for none that cannot be", async () => {
    const missing = await importRepository("acme/Small-Llama-1B", {}, { revision: "v2" });
    expect(missing.userErrors).toMatchObject([{ code: "NOT_FOUND" }]);
    hub.reset();
    const { userErrors } = await importRepository("acme/Small-Llama-1B", {}, { revision: "../../x" });
    expect(userErrors).toMatchObject([{ code: "INVALID", field: ["input", "source", "huggingFace", "revision"] }]);
    expect(hub.requests).toEqual([]);
  });

  it.each<[string, Buffer, number, RegExp]>([
    ["is none", Buffer.from("PK\u0003\u0004 something else"), 1_000, /no GGUF file/],
    ["is cut off", gguf.header.subarray(0, 300_000), 300_000, /cut off/],
    [
      "ends within its list of tensors",
      gguf.header.subarray(0, gguf.header.length - 400),
      gguf.header.length - 400,
      /cut off/,
    ],
    [
      "names more keys than there can be",
      Buffer.concat([gguf.header.subarray(0, 16), Buffer.alloc(8, 255)]),
      100,
      /no GGUF file/,
    ],
    [
      "has another's tensors",
      writeGguf({ ...described, tensors: described.tensors.slice(1) }).header,
      10 ** 6,
      /missing/,
    ],
  ])("sends a GGUF file that %s", async (_, content, sizeBytes, message) => {
    hub.repositories["maker/Bad-GGUF"] = { files: { "bad-F16.gguf": { content, sizeBytes } } };
    const { userErrors } = await importRepository("maker/Bad-GGUF", { slug: "bad" });
    expect(userErrors).toHaveLength(1);
    expect(userErrors[0].message).toMatch(message);
    expect(["INVALID", "NOT_MODELLED"]).toContain(userErrors[0].code);
  });

  it("ignores ranges: a file of gigabytes is not read to its end", async () => {
    hub.faults.set("/blobs/maker/New-GGUF", endless(Buffer.alloc(2 ** 20), 1));
    const { userErrors } = await importRepository("maker/New-GGUF", { slug: "llama-z" });
    expect(userErrors).toMatchObject([{ code: "INVALID" }]);
    expect(userErrors[0].message).toContain("part of a file");
  });

  it("cannot be reached, or is turned off", async () => {
    const gone = await startHub();
    await gone.stop();
    const settings = { url: gone.url, token: null, fileOrigins: [] };
    const unreachable = await startEditors("embedded", 1, { hub: { settings, limits: LIMITS } });
    const off = await startEditors("embedded");
    try {
      const asked = await importRepository("acme/Small-Llama-1B", {}, { at: unreachable.editors[0] });
      expect(asked.userErrors).toMatchObject([{ code: "UNREACHABLE" }]);
      expect(asked.userErrors[0].message).toContain("ECONNREFUSED");
      const refused = await importRepository("acme/Small-Llama-1B", {}, { at: off.editors[0] });
      expect(refused.userErrors).toMatchObject([{ code: "UNREACHABLE" }]);
      expect(refused.userErrors[0].message).toContain("HUGGINGFACE_URL");
    } finally {
      await unreachable.stop();
      await off.stop();
    }
  });

  it("leaves no token in the log", () => {
    expect(JSON.stringify(editor.logged)).not.toContain(TOKEN);
  });
});
