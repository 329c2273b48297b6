import type { AddressInfo } from "node:net";
import type { Catalogue } from "../../../src/data/catalogue.js";
import { type CurrentCatalogue, createHttpService, type HttpOptions, type HttpService } from "../../../src/http.js";
import type { Log } from "../../../src/log.js";
import { type ApiOptions, createApi } from "../../../src/server.js";
import { ANONYMOUS } from "../../../src/services/access/viewer.js";
import type { Backend } from "../../../src/services/backend.js";

/** What a GraphQL response looks like to a test. */
export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever they asked for
  data: any;
  errors: { message: string; path?: (string | number)[]; extensions: Record<string, unknown> }[] | undefined;
  extensions: Record<string, unknown> | undefined;
}

/** A server of a test's own, and what it logged. */
export interface TestServer extends HttpService {
  url: string;
  logged: { message: string; error: unknown }[];
  query(query: string, variables?: Record<string, unknown>, headers?: Record<string, string>): Promise<Answer>;
  stop(): Promise<void>;
}

const refuse = () => Promise.reject(new Error("this test has no database"));

/** Stands for the database where a test has none: nobody sends a token, nothing is edited. */
export const noBackend: Backend = {
  editing: { edit: refuse },
  imports: { importModel: refuse },
  audit: { list: refuse, listOfRow: refuse, find: refuse },
  access: { identify: async () => ANONYMOUS, createToken: refuse, revokeToken: refuse, listTokens: refuse },
  follow: { follow: refuse },
};

/** Settings of a test's server: those of HTTP and where persisted queries are kept. */
export type ServerOptions = Partial<Omit<HttpOptions, "api" | "catalogue" | "log">> &
  Pick<ApiOptions, "persistedQueries">;

/** Starts the real server over a catalogue, on a port that the system chooses. */
export async function startServer(
  catalogue: Catalogue | CurrentCatalogue,
  options: ServerOptions = {},
): Promise<TestServer> {
  const logged: TestServer["logged"] = [];
  const note = (message: string, error?: unknown) => void logged.push({ message, error });
  const log: Log = { error: note, warn: note, info: () => {}, debug: () => {} };
  const source =
    "current" in catalogue
      ? catalogue
      : { current: () => catalogue, reach: async (version: number) => catalogue.version >= version };
  const { persistedQueries, ...httpOptions } = options;
  const api = createApi({ log, ...(persistedQueries !== undefined && { persistedQueries }) });
  await api.start();
  const service = createHttpService({
    api,
    catalogue: source,
    backend: noBackend,
    corsOrigins: [],
    log,
    ...httpOptions,
  });
  await new Promise<void>((resolve) => service.server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(service.server.address() as AddressInfo).port}`;
  return {
    ...service,
    url,
    logged,
    async query(query, variables = {}, headers = {}) {
      const response = await fetch(`${url}/graphql`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ query, variables }),
      });
      const { data, errors, extensions } = (await response.json()) as Omit<Answer, "status" | "headers">;
      return { status: response.status, headers: response.headers, data, errors, extensions };
    },
    async stop() {
      await service.drain();
      await api.stop();
    },
  };
}
