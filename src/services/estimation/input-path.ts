/** Places in an EstimateRequest whose names differ from those of the EstimateInput they come from; longest first. */
const renamed: readonly (readonly [request: readonly string[], input: readonly string[]])[] = [
  [
    ["runtime", "settings"],
    ["runtime", "llamaCpp"],
  ],
  [
    ["runtime", "overhead"],
    ["runtime", "ruleOfThumb", "overhead"],
  ],
  [["architecture"], ["model"]],
  [["scheme"], ["quant"]],
  [["contextTokens"], ["context"]],
  [["devices"], ["hardware"]],
];

/** The place in an EstimateInput of what the estimator blames in its request. */
export function inputPathOf(requestPath: readonly string[]): readonly string[] {
  for (const [request, input] of renamed) {
    if (request.every((segment, index) => requestPath[index] === segment)) {
      return [...input, ...requestPath.slice(request.length)];
    }
  }
  return requestPath;
}
