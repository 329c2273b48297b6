/// <reference path="./raw-text.d.ts" />
import accuracyQuery from "./examples/accuracy.graphql?raw";
import compareQuery from "./examples/compare.graphql?raw";
import configQuery from "./examples/config-json.graphql?raw";
import configVariables from "./examples/config-json.variables.json?raw";
import deepSeekQuery from "./examples/deepseek-v3.graphql?raw";
import howFastQuery from "./examples/how-fast.graphql?raw";
import modelsQuery from "./examples/models.graphql?raw";
import myCardsQuery from "./examples/my-cards.graphql?raw";
import myCardsVariables from "./examples/my-cards.variables.json?raw";
import ruleOfThumbQuery from "./examples/rule-of-thumb.graphql?raw";
import runnableQuery from "./examples/runnable.graphql?raw";
import vllmQuery from "./examples/vllm.graphql?raw";
import whichHardwareQuery from "./examples/which-hardware.graphql?raw";

/** A query that answers a real question, shown as a tab. */
export interface Example {
  /** Name of the file and key of the list. */
  name: string;
  /** What a person would ask. */
  question: string;
  /** GraphQL document with one named operation; its name becomes the tab's title. */
  query: string;
  /** JSON object with the operation's variables, as text. */
  variables?: string;
}

/** In the order of the tabs. The first one opens with the page and must not need variables. */
export const examples: readonly Example[] = [
  {
    name: "deepseek-v3",
    question: "How much memory does DeepSeek V3 671B need at Q4_K_M with 128K context, and on what does it fit?",
    query: deepSeekQuery,
  },
  {
    name: "my-cards",
    question: "Does a 70B model fit on my two RTX 3090, and with how much context?",
    query: myCardsQuery,
    variables: myCardsVariables,
  },
  {
    name: "which-hardware",
    question: "Which cards and machines hold a 120B model, with its experts in host memory where they have to be?",
    query: whichHardwareQuery,
  },
  {
    name: "how-fast",
    question: "How fast does a 70B model answer, and what does a million tokens cost?",
    query: howFastQuery,
  },
  {
    name: "runnable",
    question: "What can my graphics card run, and in which quality?",
    query: runnableQuery,
  },
  {
    name: "compare",
    question: "How do two models compare, format by format and context by context?",
    query: compareQuery,
  },
  {
    name: "config-json",
    question: "I have only a config.json: what does the model need?",
    query: configQuery,
    variables: configVariables,
  },
  {
    name: "vllm",
    question: "How many tokens of cache does vLLM have on four H100, and how many requests does it hold at once?",
    query: vllmQuery,
  },
  {
    name: "models",
    question: "Which models of 20 to 40 billion parameters are there, and which home cards could run them?",
    query: modelsQuery,
  },
  {
    name: "rule-of-thumb",
    question: "How far off is the usual rule of thumb?",
    query: ruleOfThumbQuery,
  },
  {
    name: "accuracy",
    question: "How far are estimates from what was measured, and where are they worst?",
    query: accuracyQuery,
  },
];
