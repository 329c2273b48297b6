import { type GraphiQLPlugin, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { createElement, type ReactElement } from "react";
import { type Example, examples } from "./examples.js";

function ExamplesIcon(): ReactElement {
  return createElement(
    "svg",
    { viewBox: "0 0 16 16", width: "1em", height: "1em", fill: "none", stroke: "currentColor", strokeWidth: 1.2 },
    createElement("path", {
      d: "M5.5 10.5c0-1.5-2-2.3-2-4.7a4.5 4.5 0 0 1 9 0c0 2.4-2 3.2-2 4.7z M6 13h4 M6.7 15h2.6",
    }),
  );
}

function ExamplesPanel(): ReactElement {
  const { addTab } = useGraphiQLActions();
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);

  const open = ({ query, variables = "" }: Example): void => {
    addTab();
    queryEditor?.setValue(query);
    variableEditor?.setValue(variables);
  };

  return createElement(
    "section",
    { className: "examples-panel", "aria-label": "Examples" },
    createElement("h2", { className: "graphiql-doc-explorer-title" }, "Examples"),
    createElement(
      "ul",
      null,
      examples.map((example) =>
        createElement(
          "li",
          { key: example.name },
          createElement(
            "button",
            { type: "button", className: "graphiql-button", onClick: () => open(example) },
            example.question,
          ),
        ),
      ),
    ),
  );
}

/** Sidebar panel that opens any example in a new tab, for those who closed or rewrote the first ones. */
export const EXAMPLES_PLUGIN: GraphiQLPlugin = { title: "Examples", icon: ExamplesIcon, content: ExamplesPanel };
