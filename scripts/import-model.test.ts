import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { architectureFromConfig } from "../src/estimator/architecture/from-config.js";
import { countParameters } from "../src/estimator/tensors/count-parameters.js";
import { describeParameters } from "../src/services/imports/compare-parameters.js";
import { slugOfRepo, titleOfRepo } from "../src/services/imports/repository-name.js";
import { ADMIN_TOKEN, type Editor, startEditors } from "../test/api/setup/start-editor.js";
import { describeAsGguf } from "../test/fixtures/gguf-header.js";
import { writeGguf } from "../test/setup/gguf-file.js";

/** Fields of meta-llama/Meta-Llama-3.1-8B's config.json that its shape follows from. */
const LLAMA_8B = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  hidden_size: 4096,
  intermediate_size: 14336,
  num_attention_heads: 32,
  num_hidden_layers: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
  max_position_embeddings: 131072,
  tie_word_embeddings: false,
};
/** Elements of its tensors, as Hugging Face shows them. */
const LLAMA_8B_PARAMETERS = 8_030_261_248;

const run = promisify(execFile);
const script = fileURLToPath(new URL("import-model.ts", import.meta.url));

let folder: string;
let editor: Editor;
let stop: () => Promise<void>;
const files = { config: "", gguf: "", cut: "" };

beforeAll(async () => {
  const started = await startEditors("embedded");
  [editor] = started.editors;
  stop = started.stop;
  folder = await mkdtemp(join(tmpdir(), "vramql-import-"));
  const put = async (name: string, content: string | Buffer) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  files.config = await put("config.json", JSON.stringify(LLAMA_8B));
  const small = { ...LLAMA_8B, hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4 };
  const { header, sizeBytes } = writeGguf(
    describeAsGguf(architectureFromConfig({ ...small, num_key_value_heads: 2, vocab_size: 1_000 })),
    1_000,
  );
  const whole = Buffer.concat([header, Buffer.alloc(sizeBytes - header.length)]);
  files.gguf = await put("tiny-Q8_0.gguf", whole);
  files.cut = await put("cut.gguf", header.subarray(0, header.length - 400));
});
afterAll(async () => {
  await stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs the script; a setting of the machine that runs the tests must not lead it to a real hub. */
async function importModel(...args: string[]): Promise<{ code: number; output: string; complaints: string }> {
  const env = { ...process.env, HUGGINGFACE_URL: "off", ADMIN_TOKEN, DATA_DIR: join(folder, "data") };
  try {
    const { stdout, stderr } = await run(process.execPath, ["--import", "tsx", script, ...args], { env });
    return { code: 0, output: stdout, complaints: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, output: stdout, complaints: stderr };
  }
}

describe("import-model", () => {
  it("prints a row for the seed, with its parameters and how far the published ones are from them", async () => {
    const args = [files.config, "--print", "--repo", "meta-llama/Meta-Llama-3.1-8B", "--published", "8000000000"];
    const { code, output, complaints } = await importModel(...args);
    expect(code).toBe(0);
    const row = JSON.parse(output);
    expect(row).toMatchObject({ slug: "llama-3.1-8b", name: "Llama 3.1 8B", vendor: "meta-llama", licence: null });
    expect(countParameters(row.architecture).total).toBe(LLAMA_8B_PARAMETERS);
    expect(output.split("\n").length).toBeLessThan(40);
    expect(complaints).toContain("8,030,261,248 parameters");
    expect(complaints).toContain("explain it in parametersNote");
  });

  it("sends what a GGUF file's header says to a server, without its tokenizer", async () => {
    const args = [
      files.gguf,
      "--server",
      editor.url,
      "--slug",
      "tiny",
      "--vendor",
      "me",
      "--name",
      "Tiny",
      "--file-repo",
      "me/Tiny-GGUF",
    ];
    const rehearsed = await importModel(...args, "--dry-run");
    expect(rehearsed).toMatchObject({ code: 0 });
    expect(rehearsed.output).toContain("CREATE tiny");
    expect(editor.source.current().models.bySlug.has("tiny")).toBe(false);
    const { code, output } = await importModel(...args);
    expect({ code, saved: output.includes("CREATE tiny-me-q8_0") }).toEqual({ code: 0, saved: true });
    const { models, modelFiles } = editor.source.current();
    expect(models.bySlug.get("tiny")?.architecture.layers).toHaveLength(2);
    expect(modelFiles.bySlug.get("tiny-me-q8_0")).toMatchObject({ repo: "me/Tiny-GGUF", fileName: "tiny-Q8_0.gguf" });
  });

  it.each<[string, () => string[], RegExp]>([
    ["nothing to import", () => [], /^Usage/],
    ["what is neither a file nor a repository", () => ["no/such/file.json", "--print"], /no name of a repository/],
    ["a file that is cut off", () => [files.cut, "--print"], /cut\.gguf: .*cut off/],
    ["a repository of a hub that is off", () => ["owner/name", "--print"], /HUGGINGFACE_URL is off/],
    ["a count that is none", () => [files.config, "--published", "many"], /--published takes a whole number/],
    ["a server that does not answer", () => [files.config, "--server", "http://127.0.0.1:1"], /cannot be reached/],
    ["a server that refuses", () => [files.config, "--server", editor.url], /input\.slug: slug is missing/],
  ])("says what is wrong with %s", async (_, args, message) => {
    const { code, complaints } = await importModel(...args());
    expect(complaints).toMatch(message);
    expect(code).toBe(1);
  });
});

describe("slugOfRepo", () => {
  it.each([
    ["deepseek-ai/DeepSeek-V3", "deepseek-v3"],
    ["meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b-instruct"],
    ["meta-llama/Meta-Llama-3.1-8B", "llama-3.1-8b"],
    ["microsoft/phi-1_5", "phi-1-5"],
    ["nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", "nvidia-nemotron-3-nano-30b-a3b"],
    ["google/gemma-3-27b-it", "gemma-3-27b-it"],
  ])("%s is %s", (repo, slug) => expect(slugOfRepo(repo)).toBe(slug));

  it("goes with a title without owner and Meta's prefix", () => {
    expect(titleOfRepo("meta-llama/Meta-Llama-3-70B-Instruct")).toBe("Llama 3 70B Instruct");
  });
});

describe("describeParameters", () => {
  const count = countParameters(architectureFromConfig(LLAMA_8B));

  it("asks for an explanation above a thousandth", () => {
    expect(describeParameters(count, LLAMA_8B_PARAMETERS)).not.toContain("explain");
    expect(describeParameters(count, 8_000_000_000)).toContain("explain it in parametersNote");
    expect(describeParameters(count, null)).not.toContain("published");
  });

  it("names what a publisher counts with the rest", () => {
    const besides = { ...count, encoders: 400_000_000, nextTokenPrediction: 900_000_000 };
    const explained = (published: number) => describeParameters(besides, published);
    expect(explained(LLAMA_8B_PARAMETERS + 400_000_000)).toContain("it includes encoders; say so in parametersNote");
    expect(explained(LLAMA_8B_PARAMETERS + 900_000_000)).toContain("it includes prediction blocks; say so");
    expect(explained(LLAMA_8B_PARAMETERS + 1_300_000_000)).toContain("it includes prediction blocks and encoders;");
    expect(explained(LLAMA_8B_PARAMETERS + 700_000_000)).toContain("explain it in parametersNote");
  });
});
