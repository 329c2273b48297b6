/** What one request asks: a body for `POST /graphql`. */
export interface Operation {
  name: string;
  query: string;
  /** Variables of the n-th request; those of the first where they shall stay the same. */
  variables(n: number): Record<string, unknown>;
}

/** Models that the requests go through. */
const MODELS = ["llama-3.1-8b", "qwen3-8b", "gemma-3-27b-it", "mistral-small-3.2-24b-instruct-2506", "deepseek-v3"];
/** Numbers of tokens that differ from request to request: a prime step through the range comes back after all of it. */
const LEAST_CONTEXT = 2_048;
const CONTEXTS = 98_304;
const STEP = 7_919;

const contextOf = (n: number) => LEAST_CONTEXT + ((n * STEP) % CONTEXTS);

const tiny: Operation = {
  name: "tiny",
  query: "query Tiny($slug: String!) { model(slug: $slug) { name layers contextLength } }",
  // Variables that the document does not declare are allowed, and make a request unlike all others.
  variables: (n) => ({ slug: MODELS[n % MODELS.length], n }),
};

const models: Operation = {
  name: "models",
  query: `query Models($first: Int!, $context: Int!) {
    models(first: $first, filter: { search: "llama" }) {
      totalCount
      nodes {
        id slug name layers parameters
        a: estimate(quant: "q4_k_m", context: $context) { ...size }
        b: estimate(quant: "q5_k_m", context: $context) { ...size }
        c: estimate(quant: "q6_k", context: $context) { ...size }
        d: estimate(quant: "q8_0", context: $context) { ...size }
        e: estimate(quant: "bf16", context: $context) { ...size }
      }
    }
  }
  fragment size on Estimate {
    total { bytes gib gb }
    weights { size { gib } parameters bitsPerWeight basis }
    kvCache { size { gib } bytesPerToken }
    compute { mib }
    overhead { mib }
    warnings { code message }
  }`,
  variables: (n) => ({ first: 20, context: contextOf(n) }),
};

const estimate: Operation = {
  name: "estimate",
  query: `query Estimate($input: EstimateInput!) {
    estimate(input: $input) {
      total { bytes gib gb }
      weights { size { gib } parameters bitsPerWeight }
      kvCache { size { gib } bytesPerToken }
      devices {
        index gpu { name } weights { mib } kvCache { mib } compute { mib } total { mib } capacity { mib } free { mib } layers
      }
      fits
      steps { title formula result source }
      warnings { code message }
    }
  }`,
  variables: (n) => ({
    input: {
      model: { slug: MODELS[0] },
      quant: "q4_k_m",
      context: contextOf(n),
      hardware: { gpus: [{ gpu: "nvidia-rtx-3090-24gb", count: 2 }] },
    },
  }),
};

const hardware: Operation = {
  name: "hardware",
  query: `query Hardware($input: EstimateInput!) {
    hardware(input: $input, first: 10) {
      totalCount
      nodes { count gpu { name } system { name } headroom { gib } maxContext plan { layersPerDevice } }
    }
  }`,
  variables: (n) => ({ input: { model: { slug: "llama-3.1-8b" }, quant: "q4_k_m", context: contextOf(n) } }),
};

/** Queries of real front ends, from a label on a page to a search over all hardware. */
export const OPERATIONS: readonly Operation[] = [tiny, models, estimate, hardware];
export const TINY = tiny;
export const ESTIMATE = estimate;

/** What keeps a server busy for long: everything that a card can run, a comparison of 200 cells, a search. */
export const HEAVY: readonly Operation[] = [
  {
    name: "runnable",
    query: `query Runnable($hardware: HardwareInput!, $settings: RunnableSettings!) {
      runnable(hardware: $hardware, settings: $settings, first: 20) { totalCount nodes { model { name } total { gib } } }
    }`,
    variables: (n) => ({
      hardware: { gpus: [{ gpu: "nvidia-rtx-3090-24gb", count: 1 + (n % 4) }] },
      settings: { context: contextOf(n) },
    }),
  },
  {
    name: "compare",
    query: `query Compare($input: CompareInput!) {
      compare(input: $input) { cells { outcome { ... on Estimate { total { gib } fits maxContext } } } }
    }`,
    variables: (n) => ({
      input: {
        models: MODELS.map((slug) => ({ slug })),
        quants: ["q4_k_m", "q5_k_m", "q6_k", "q8_0", "bf16"],
        contexts: [0, 1, 2, 3].map((step) => contextOf(n) + step * 256),
        hardware: [{ gpus: [{ gpu: "nvidia-rtx-3090-24gb" }] }, { gpus: [{ gpu: "nvidia-rtx-3090-24gb", count: 2 }] }],
      },
    }),
  },
  { ...hardware, variables: (n) => ({ ...hardware.variables(n * 31 + 7) }) },
];
