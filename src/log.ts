/** Levels from the most to the least important; a log shows its own level and those before it. */
export const logLevels = ["error", "warn", "info", "debug"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Writes lines about what the server does. */
export type Log = Record<LogLevel, (message: string, error?: unknown) => void>;

/**
 * A log of one line an event (stack traces of errors follow on lines of their own): time, level, message.
 * Errors and warnings go to standard error, the rest to standard output.
 */
export function createLog(level: LogLevel): Log {
  const shown = logLevels.indexOf(level);
  const writer = (name: LogLevel) => (message: string, error?: unknown) => {
    if (logLevels.indexOf(name) > shown) return;
    const stream = name === "error" || name === "warn" ? process.stderr : process.stdout;
    const cause =
      error === undefined ? "" : `\n${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    stream.write(`${new Date().toISOString()} ${name} ${message}${cause}\n`);
  };
  return { error: writer("error"), warn: writer("warn"), info: writer("info"), debug: writer("debug") };
}
