import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import proxyAddress from "proxy-addr";
import type { CatalogueSource } from "../data/snapshot.js";
import type { AnsweredOperation } from "../operation.js";

/**
 * Names of operations that are counted one by one. Clients choose names, and each takes a few KB here and at whoever
 * collects: more than a front end has, and no room for mischief.
 */
const MAX_NAMES = 200;
/** Longer names are nobody's own; the label of those and of all that come after `MAX_NAMES`. */
const MAX_NAME_LENGTH = 64;
const OTHER = "other";
const NAMELESS = "none";

/** Upper ends of the classes of latency, in seconds: from an answer out of memory to the time limit. */
const LATENCY_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

const MS_PER_SECOND = 1_000;

/** Counts what a server does, for Prometheus. */
export interface Metrics {
  /** Counts an operation that is over. */
  countOperation(operation: AnsweredOperation): void;
  /** Counts a statement sent to the database. */
  countStatement(): void;
  /** Shows this catalogue's version and age from now on. */
  watchCatalogue(catalogue: Pick<CatalogueSource, "current" | "ageMs" | "stale">): void;
  /** The text that Prometheus reads, and its media type. */
  render(): Promise<{ contentType: string; text: string }>;
}

/** Begins to count, in a registry of its own. */
export function createMetrics(): Metrics {
  const registers = [new Registry()];
  const [registry] = registers as [Registry];
  collectDefaultMetrics({ register: registry });
  const operations = new Counter({
    name: "vramql_operations_total",
    help: "Operations answered, by name (the first 200 names, then other), kind and status of HTTP.",
    labelNames: ["operation", "kind", "status"],
    registers,
  });
  const latency = new Histogram({
    name: "vramql_operation_duration_seconds",
    help: "Seconds from a request to the end of its answer, by the operation's name.",
    labelNames: ["operation"],
    buckets: LATENCY_SECONDS,
    registers,
  });
  const errors = new Counter({
    name: "vramql_operation_errors_total",
    help: "Operations with at least one error of a code.",
    labelNames: ["code"],
    registers,
  });
  const answers = new Counter({
    name: "vramql_answers_total",
    help: "Answers by where they came from: computed, kept from an earlier request, or unchanged since (304).",
    labelNames: ["source"],
    registers,
  });
  const persistedQueries = new Counter({
    name: "vramql_persisted_queries_total",
    help: "Automatic persisted queries: known by their hash (hit), or sent to be known (registered).",
    labelNames: ["result"],
    registers,
  });
  const cost = new Counter({
    name: "vramql_operation_cost_units_total",
    help: "Units of work of the operations answered.",
    registers,
  });
  const statements = new Counter({
    name: "vramql_sql_statements_total",
    help: "Statements sent to the database.",
    registers,
  });
  const nameOf = createNameLabels();

  return {
    countOperation({ name, kind, status, ms, codes, source, persistedQuery, cost: units }) {
      const operation = nameOf(name);
      operations.inc({ operation, kind: kind ?? NAMELESS, status });
      latency.observe({ operation }, ms / MS_PER_SECOND);
      answers.inc({ source });
      if (units !== null) cost.inc(units);
      for (const code of codes) errors.inc({ code });
      if (persistedQuery !== null) persistedQueries.inc({ result: persistedQuery });
    },
    countStatement: () => statements.inc(),
    watchCatalogue(catalogue) {
      const gauge = (name: string, help: string, read: () => number) =>
        new Gauge({
          name,
          help,
          registers,
          collect() {
            this.set(read());
          },
        });
      gauge("vramql_catalog_version", "Version of the catalogue in memory.", () => catalogue.current().version);
      gauge(
        "vramql_catalog_age_seconds",
        "Seconds since the catalogue in memory was last known to be the newest.",
        () => catalogue.ageMs() / MS_PER_SECOND,
      );
      gauge("vramql_catalog_stale", "1 while the database does not answer.", () => Number(catalogue.stale));
    },
    async render() {
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
  };
}

/** Labels for names, of which there are never more than a few hundred. */
function createNameLabels(): (name: string | null) => string {
  const known = new Set<string>();
  return (name) => {
    if (name === null) return NAMELESS;
    if (known.has(name)) return name;
    if (known.size >= MAX_NAMES || name.length > MAX_NAME_LENGTH) return OTHER;
    known.add(name);
    return name;
  };
}

/**
 * Who may read the metrics: a request whose every address, that of the connection and all that proxies wrote into
 * `X-Forwarded-For`, lies in the ranges. What comes in from outside through a proxy within them is refused.
 * @param ranges as for `createClientAddress`; `null`: anybody
 */
export function createMetricsAccess(ranges: readonly string[] | null): (request: IncomingMessage) => boolean {
  if (ranges === null) return () => true;
  const isWithin = proxyAddress.compile([...ranges]);
  return (request) =>
    proxyAddress.all(request).every((address, index) => isAddress(address) && isWithin(address, index));
}

function isAddress(address: string | undefined): address is string {
  return address !== undefined && isIP(address) !== 0;
}
