/// <reference path="./raw-text.d.ts" />
import addGpu from "./edits/add-gpu.graphql?raw";
import addGpuVariables from "./edits/add-gpu.variables.json?raw";
import addModel from "./edits/add-model.graphql?raw";
import addModelVariables from "./edits/add-model.variables.json?raw";
import addScenario from "./edits/add-scenario.graphql?raw";
import addScenarioVariables from "./edits/add-scenario.variables.json?raw";
import history from "./edits/history.graphql?raw";
import historyVariables from "./edits/history.variables.json?raw";
import setPrices from "./edits/set-prices.graphql?raw";
import setPricesVariables from "./edits/set-prices.variables.json?raw";
import undo from "./edits/undo.graphql?raw";
import undoVariables from "./edits/undo.variables.json?raw";
import type { Example } from "./examples.js";

/** What an editor does with the catalogue. Mutations begin as dry runs, so that trying one saves nothing. */
export const edits: readonly Example[] = [
  {
    name: "add-model",
    question: "How do I add a model from its config.json?",
    query: addModel,
    variables: addModelVariables,
  },
  { name: "add-gpu", question: "How do I add a card?", query: addGpu, variables: addGpuVariables },
  {
    name: "set-prices",
    question: "How do I bring prices up to date?",
    query: setPrices,
    variables: setPricesVariables,
  },
  {
    name: "add-scenario",
    question: "How do I add a scenario?",
    query: addScenario,
    variables: addScenarioVariables,
  },
  { name: "history", question: "Who changed what, when and why?", query: history, variables: historyVariables },
  { name: "undo", question: "How do I take a change back?", query: undo, variables: undoVariables },
];

/** Headers of an editor's tab until the editor has given a token; the API refuses this one and says so. */
export const HEADERS_WITHOUT_TOKEN = `{
  "authorization": "Bearer PASTE-A-TOKEN"
}`;
