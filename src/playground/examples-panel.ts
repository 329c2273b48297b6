import { type GraphiQLPlugin, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { createElement, type ReactElement } from "react";
import { edits, HEADERS_WITHOUT_TOKEN } from "./edits.js";
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

/** What the panel offers, heading by heading. */
const sections: readonly { heading: string; examples: readonly Example[]; needsToken: boolean }[] = [
  { heading: "Questions", examples, needsToken: false },
  { heading: "Editing", examples: edits, needsToken: true },
];

/** Headers of the last tab that has some: whoever gave a token once does not want to give it in every tab. */
function headersGiven(tabs: readonly { headers?: string | null }[]): string | undefined {
  const given = tabs.map(({ headers }) => headers?.trim() ?? "");
  return given.findLast((headers) => headers !== "" && headers !== HEADERS_WITHOUT_TOKEN);
}

function ExamplesPanel(): ReactElement {
  const { addTab } = useGraphiQLActions();
  const queryEditor = useGraphiQL((state) => state.queryEditor);
  const variableEditor = useGraphiQL((state) => state.variableEditor);
  const headerEditor = useGraphiQL((state) => state.headerEditor);
  const tabs = useGraphiQL((state) => state.tabs);

  const open = ({ query, variables = "" }: Example, needsToken: boolean): void => {
    addTab();
    queryEditor?.setValue(query);
    variableEditor?.setValue(variables);
    if (needsToken) headerEditor?.setValue(headersGiven(tabs) ?? HEADERS_WITHOUT_TOKEN);
  };

  return createElement(
    "section",
    { className: "examples-panel", "aria-label": "Examples" },
    createElement("h2", { className: "graphiql-doc-explorer-title" }, "Examples"),
    sections.map(({ heading, examples, needsToken }) =>
      createElement(
        "section",
        { key: heading, "aria-label": heading },
        createElement("h3", null, heading),
        createElement(
          "ul",
          null,
          examples.map((example) =>
            createElement(
              "li",
              { key: example.name },
              createElement(
                "button",
                { type: "button", className: "graphiql-button", onClick: () => open(example, needsToken) },
                example.question,
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

/** Sidebar panel that opens any example in a new tab, for those who closed or rewrote the first ones. */
export const EXAMPLES_PLUGIN: GraphiQLPlugin = { title: "Examples", icon: ExamplesIcon, content: ExamplesPanel };
