import type { Parameter } from "./search.js";

function share(path: string, prior: number, spread = 0.3): Parameter {
  return { path, prior, spread, low: 0.005, high: 1 };
}

function factor(path: string, spread = 0.3): Parameter {
  return { path, prior: 1, spread, low: 0.1, high: 10 };
}

function amount(path: string, prior: number, spread = 0.7): Parameter {
  return { path, prior, spread, low: prior / 100, high: prior * 100 };
}

/** Refreshes and turnarounds take the rest of a memory's data sheet. */
const MOST_BANDWIDTH = 0.95;

/** What is fitted of each engine; everything else in its `speed` constants is taken as it stands in the seed. */
export const PARAMETERS: Readonly<Record<string, readonly Parameter[]>> = {
  "llama-cpp": [
    amount("operationUs", 6),
    { ...share("storage.half.bandwidth", 0.85, 0.1), high: MOST_BANDWIDTH },
    { ...share("storage.fourBit.bandwidth", 0.85, 0.1), high: MOST_BANDWIDTH },
    { ...share("storage.half.compute", 0.6), high: 3 },
    { ...share("storage.fourBit.compute", 0.6), high: 3 },
    share("cacheBandwidth", 0.4),
    amount("scoreBytes", 20),
    amount("activationPasses", 4),
    amount("handoverUs", 200),
    factor("families.NVIDIA GeForce.bandwidth", 0.1),
    factor("families.NVIDIA GeForce.compute"),
    factor("families.NVIDIA HBM.bandwidth"),
    factor("families.NVIDIA HBM.compute"),
    factor("families.Apple.bandwidth"),
    factor("families.Apple.compute"),
    factor("families.Apple.launch"),
    factor("families.Apple.cache"),
  ],
  vllm: [
    amount("stepUs", 1000, 1.5),
    amount("operationUs", 6),
    share("storage.half.bandwidth", 0.85),
    share("storage.int8.bandwidth", 0.8),
    share("storage.fourBit.bandwidth", 0.75),
    share("storage.half.compute", 0.6),
    share("storage.int8.compute", 0.5),
    share("storage.fourBit.compute", 0.5),
    share("cacheBandwidth", 0.6),
    share("attentionCompute", 0.4),
    amount("reduceUs.linked", 20),
    amount("reduceUs.pcie", 60),
  ],
  sglang: [
    amount("stepUs", 200, 1.5),
    amount("operationUs", 6),
    share("storage.half.bandwidth", 0.85),
    share("storage.fp8.bandwidth", 0.8),
    share("storage.int8.bandwidth", 0.8),
    share("storage.fourBit.bandwidth", 0.75),
    share("storage.half.compute", 0.6),
    share("storage.fp8.compute", 0.5),
    share("storage.int8.compute", 0.5),
    share("storage.fourBit.compute", 0.5),
    share("cacheBandwidth", 0.6),
    share("attentionCompute", 0.4),
  ],
  transformers: [
    amount("operationUs", 70),
    amount("expertUs", 85),
    factor("storage.fp8.launch", 0.7),
    factor("storage.int8.launch"),
    factor("storage.fourBit.launch"),
    share("storage.half.bandwidth", 0.7),
    share("storage.fp8.bandwidth", 0.5),
    share("storage.int8.bandwidth", 0.6),
    share("storage.fourBit.bandwidth", 0.5),
    share("storage.half.compute", 0.5),
    share("cacheBandwidth", 0.05, 1),
    factor("families.NVIDIA Hopper.launch"),
  ],
  mlx: [
    amount("operationUs", 6),
    share("storage.half.bandwidth", 0.85),
    share("storage.fourBit.bandwidth", 0.85),
    share("storage.fourBit.compute", 0.7),
    share("cacheBandwidth", 0.6),
    amount("activationPasses", 4, 0.4),
    amount("stepUs", 200, 1.5),
    factor("families.Apple Ultra.launch"),
    factor("families.Apple before M3.bandwidth"),
    factor("families.Apple before M3.compute"),
    factor("families.Apple before M3.launch"),
  ],
};

/** Engines that nobody measured, and the one whose constants they are given: the nearest in how it works. */
export const BORROWED: Readonly<Record<string, string>> = {
  "tensorrt-llm": "sglang",
  exllama: "vllm",
};

/** Family of cards that no other one matches: the geometric mean of the others. */
export const OTHER_CARDS = "other cards";
