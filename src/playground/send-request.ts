import type { Fetcher } from "@graphiql/toolkit";

/** The API answers at the address the page was opened from. */
const ENDPOINT = "/graphql";

/**
 * Sends one operation to this server by POST and returns its JSON answer, GraphQL errors included.
 *
 * @throws Error when the answer is not JSON (a proxy's error page, say); GraphiQL shows its message.
 */
export const sendRequest: Fetcher = async (params, options) => {
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json;q=0.9",
      ...options?.headers,
    },
    body: JSON.stringify(params),
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${ENDPOINT} answered ${response.status} ${response.statusText} without JSON: ${text}`);
  }
};
