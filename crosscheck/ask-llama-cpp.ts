import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How llama.cpp is to run a model; everything stays in host memory. */
export interface Run {
  /** Tokens of one sequence. */
  contextTokens: number;
  sequences: number;
  /** Batch and microbatch, which node-llama-cpp keeps equal. */
  ubatchTokens: number;
  flashAttention: boolean;
  swaFull: boolean;
  /** ggml type of keys and values, e.g. "F16". */
  cacheType: string;
}

export interface Question {
  /** Path of a GGUF file; its head is all that is read. */
  file: string;
  run: Run;
}

/** One line of llama.cpp's log about a cache or a recurrent state; sizes are rounded to 0.01 MiB. */
export interface CacheLine {
  /** Entries of one stream; null for state that has none. */
  cells: number | null;
  layers: number;
  mib: number;
}

export type Answer =
  | {
      kind: "answered";
      /** Bytes of the weights, as llama.cpp would allocate them. */
      modelBytes: number;
      /** Bytes of caches and compute buffers together. */
      contextBytes: number;
      caches: CacheLine[];
      /** Compute buffers alone, as logged: rounded to 0.01 MiB. */
      computeMib: number;
    }
  /** llama.cpp does not load the model, or not with these settings. */
  | { kind: "refused"; reason: string }
  /** llama.cpp ended its process. */
  | { kind: "crashed"; reason: string };

type Message = Answer | { kind: "ready"; build: string };

const PROCESS_FILE = fileURLToPath(new URL("./llama-cpp-process.ts", import.meta.url));
/** What is kept of a process's standard error: the last words of one that ends itself. */
const LAST_WORDS = 2000;

/** llama.cpp in a process of its own, started again when a model ends it. */
export class LlamaCpp {
  #child: ChildProcess;
  #lastWords = "";
  #receive: (message: Message) => void = () => {};

  private constructor() {
    this.#child = this.#fork();
  }

  /** Starts a process; `build` is llama.cpp's release. */
  static async start(): Promise<{ llamaCpp: LlamaCpp; build: string }> {
    const llamaCpp = new LlamaCpp();
    return { llamaCpp, build: await llamaCpp.#ready() };
  }

  async ask(question: Question): Promise<Answer> {
    const answer = await this.#next(() => this.#child.send(question));
    if (answer.kind === "ready") throw new Error("llama.cpp's process started twice.");
    if (answer.kind === "crashed") {
      this.#child = this.#fork();
      await this.#ready();
    }
    return answer;
  }

  close(): void {
    this.#child.kill();
  }

  async #ready(): Promise<string> {
    const message = await this.#next(() => {});
    if (message.kind !== "ready") throw new Error(`llama.cpp did not start: ${JSON.stringify(message)}`);
    return message.build;
  }

  #next(send: () => void): Promise<Message> {
    return new Promise((resolve) => {
      this.#receive = resolve;
      send();
    });
  }

  #fork(): ChildProcess {
    this.#lastWords = "";
    const child = fork(PROCESS_FILE, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#lastWords = (this.#lastWords + text).slice(-LAST_WORDS);
    });
    child.on("message", (message: Message) => this.#receive(message));
    child.on("close", () => this.#receive({ kind: "crashed", reason: assertion(this.#lastWords) }));
    return child;
  }
}

/** The line that says what was asserted, without where; all of it where there is none. */
function assertion(lastWords: string): string {
  return /GGML_ASSERT\(.*/.exec(lastWords)?.[0] ?? (lastWords.trim() || "no reason given");
}
