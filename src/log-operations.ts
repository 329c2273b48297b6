import type { Log } from "./log.js";
import type { OperationObserver } from "./operation.js";

/** Milliseconds from which an operation is slow for somebody who waits at a screen. */
const SLOW_MS = 1_000;
const FIRST_SERVER_FAULT = 500;

/**
 * Writes a line for each operation: at `info` for edits, slow operations and faults of the server, at `debug` for the
 * many others, so that a busy server does not spend its time on writing.
 */
export function logOperations(log: Log): OperationObserver {
  return (operation) => {
    const { requestId, name, kind, ms, status, cost, codes, errorIds, source } = operation;
    const isNotable = kind === "mutation" || ms >= SLOW_MS || status >= FIRST_SERVER_FAULT || errorIds.length > 0;
    log[isNotable ? "info" : "debug"]("operation", undefined, {
      requestId,
      name,
      kind,
      ms: Math.round(ms * 10) / 10,
      status,
      cost,
      source,
      ...(codes.size > 0 && { codes: [...codes] }),
      ...(errorIds.length > 0 && { errorIds }),
    });
  };
}
