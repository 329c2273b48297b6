import type { ParameterCount } from "../../estimator/tensors/count-parameters.js";

/** Above this relative difference a published count needs an explanation. */
const UNEXPLAINED_DIFFERENCE = 0.001;

/** How a published parameter count stands to the counted one. */
export interface ParameterComparison {
  /** `published / counted - 1`. */
  difference: number;
  /** Whether the difference is small enough to need no words. */
  agrees: boolean;
  /** What the publisher counts with the rest, where that makes up the difference: "prediction blocks and encoders". */
  includes: string | null;
}

/** Compares a published count with the counted one, and looks among what is counted apart for what makes the difference. */
export function compareParameters(count: ParameterCount, published: number): ParameterComparison {
  const difference = published / count.total - 1;
  const agrees = Math.abs(difference) <= UNEXPLAINED_DIFFERENCE;
  return { difference, agrees, includes: agrees ? null : explain(count, published) };
}

interface CountedApart {
  name: string;
  parameters: number;
}

/** What publishers may count with the rest. */
function listCountedApart(count: ParameterCount): CountedApart[] {
  return [
    { name: "prediction blocks", parameters: count.nextTokenPrediction },
    { name: "encoders", parameters: count.encoders },
  ].filter(({ parameters }) => parameters > 0);
}

function explain(count: ParameterCount, published: number): string | null {
  const besides = listCountedApart(count);
  const candidates = [...besides.map((part) => [part]), besides];
  const included = candidates.find((parts) => {
    const total = parts.reduce((sum, { parameters }) => sum + parameters, count.total);
    return parts.length > 0 && Math.abs(published / total - 1) <= UNEXPLAINED_DIFFERENCE;
  });
  return included === undefined ? null : included.map(({ name }) => name).join(" and ");
}

/** The counts in words, for people who add a model. */
export function describeParameters(count: ParameterCount, published: number | null): string {
  const parts = [`${count.total.toLocaleString("en")} parameters, ${count.active.toLocaleString("en")} active`];
  for (const { name, parameters } of listCountedApart(count))
    parts.push(`${parameters.toLocaleString("en")} in ${name}`);
  if (published !== null) {
    const { difference, agrees, includes } = compareParameters(count, published);
    const percent = `${(100 * difference).toFixed(3)}%`;
    const advice =
      includes === null ? "explain it in parametersNote" : `it includes ${includes}; say so in parametersNote`;
    parts.push(`published ${published.toLocaleString("en")} (${percent}${agrees ? "" : `: ${advice}`})`);
  }
  return parts.join(", ");
}
