import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { GraphiQL } from "graphiql";
import { createElement, type ReactElement } from "react";
import { examples } from "./examples.js";
import { EXAMPLES_PLUGIN } from "./examples-panel.js";
import { sendRequest } from "./send-request.js";

// Compared by reference on every render, so they live outside the component.
const defaultTabs = examples.map(({ query, variables = null }) => ({ query, variables }));
const plugins = [EXAMPLES_PLUGIN, HISTORY_PLUGIN];

/** What the variables editor accepts for the schema's own scalars, as JSON Schema; without it every object is an error. */
const customScalarSchemas = {
  JSON: {},
  SafeInt: { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER },
  DateTime: { type: "string", format: "date-time" },
} as const;

/** The whole page: GraphiQL on this server's API, each example question in a tab of its own. */
export function Playground(): ReactElement {
  return createElement(
    GraphiQL,
    {
      fetcher: sendRequest,
      defaultTabs,
      plugins,
      customScalarSchemas,
      defaultEditorToolsVisibility: "variables",
      inputValueDeprecation: true,
      schemaDescription: true,
    },
    createElement(GraphiQL.Logo, null, "vramql"),
  );
}
