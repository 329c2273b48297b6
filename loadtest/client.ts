import { connect, type Socket } from "node:net";

/** What a load came to. */
export interface Load {
  requests: number;
  seconds: number;
  /** Milliseconds from sending a request to the end of its answer, in ascending order. */
  latencies: Float64Array;
  /** Answers that were no 200 or had errors in them. */
  failures: number;
  /** Text of the first failure. */
  failure: string | null;
}

export interface LoadOptions {
  port: number;
  path?: string;
  connections: number;
  /** The load ends after either; a request that is under way then still counts. */
  seconds?: number;
  requests?: number;
  /** Body of the n-th request. */
  body(n: number): string;
  /** Number of the first request, so that several loads together never ask the same. */
  from?: number;
}

const END_OF_HEADERS = Buffer.from("\r\n\r\n");
const contentLength = /\r\ncontent-length: *(\d+)/i;
/** How a GraphQL answer with data begins, and none that is nothing but errors. */
const DATA = Buffer.from('{"data":{');
/** Latencies kept at most, each an 8-byte number. */
const MAX_LATENCIES = 2_000_000;

/**
 * Sends requests one after another over each of several connections that are kept open. It writes and reads plain bytes:
 * a full HTTP client takes more time for a request than the servers that are measured.
 */
export function load({
  port,
  path = "/graphql",
  connections,
  seconds,
  requests,
  body,
  from = 0,
}: LoadOptions): Promise<Load> {
  const started = performance.now();
  const until = seconds === undefined ? Number.POSITIVE_INFINITY : started + seconds * 1_000;
  const most = requests ?? Number.POSITIVE_INFINITY;
  const latencies = new Float64Array(Math.min(most, MAX_LATENCIES));
  let sent = 0;
  let done = 0;
  let failures = 0;
  let failure: string | null = null;
  const head = `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\naccept: application/json\r\n`;

  function run(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true });
      let pending: Buffer | null = null;
      let sentAt = 0;
      const next = () => {
        if (sent >= most || performance.now() >= until) {
          socket.end();
          resolve();
          return;
        }
        const text = body(from + sent++);
        sentAt = performance.now();
        socket.write(`${head}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
      };
      socket.on("connect", next);
      socket.on("error", reject);
      socket.on("data", (chunk: Buffer) => {
        pending = pending === null ? chunk : Buffer.concat([pending, chunk]);
        const headersEnd = pending.indexOf(END_OF_HEADERS);
        if (headersEnd === -1) return;
        const headers = pending.toString("latin1", 0, headersEnd);
        const length = Number(contentLength.exec(headers)?.[1]);
        if (Number.isNaN(length)) throw new Error(`an answer without a length: ${headers}`);
        const bodyStart = headersEnd + END_OF_HEADERS.length;
        if (pending.length < bodyStart + length) return;
        const isRight = headers.startsWith("HTTP/1.1 200") && pending.indexOf(DATA, bodyStart) === bodyStart;
        if (!isRight) {
          failures += 1;
          failure ??= `${headers}\n${pending.toString("utf8", bodyStart, bodyStart + 500)}`;
        }
        latencies[done % MAX_LATENCIES] = performance.now() - sentAt;
        done += 1;
        pending = null;
        next();
      });
    });
  }

  return Promise.all(Array.from({ length: connections }, run)).then(() => ({
    requests: done,
    seconds: (performance.now() - started) / 1_000,
    latencies: latencies.slice(0, Math.min(done, MAX_LATENCIES)).sort(),
    failures,
    failure,
  }));
}

/** The latency that a share of the requests stays below. */
export function percentile({ latencies }: Load, share: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
}
