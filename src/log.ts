import { pino } from "pino";

/** Levels from the most to the least important; a log shows its own level and those before it. */
export const logLevels = ["error", "warn", "info", "debug"] as const;

export type LogLevel = (typeof logLevels)[number];

/** Fields of an event beside its message: plain values. */
export type LogDetails = Readonly<Record<string, unknown>>;

/** Writes lines about what the server does. */
export type Log = Record<LogLevel, (message: string, error?: unknown, details?: LogDetails) => void>;

export interface LogOptions {
  /** Lines for people instead of JSON; without it, whether standard output is a terminal. */
  isForPeople?: boolean;
  /** Takes each line with its end; without it, standard output does, and for people standard error warnings and errors. */
  write?: (line: string, level: LogLevel) => void;
}

/** Fields that are never written, whatever an event has in them: a field of an event, or one of a field of it. */
const SECRET_FIELDS = ["authorization", "cookie", "token", "adminToken", "password", "url", "connectionString"];
const HIDDEN = "[hidden]";
/** A password in an address, and tokens in the words of an error: of any kind, and this server's own. */
const PASSWORD_OF_URL = /(\w+:\/\/[^\s:@/]*):[^\s@/]+@/g;
const BEARER_TOKEN = /\bBearer\s+[\w.~+/=-]+/gi;
const OWN_TOKEN = /\bvramql_[0-9a-f]{16,}[\w-]*/g;
/** Causes of causes that are written. */
const MAX_CAUSES = 4;

/**
 * A log of one event a line. For programs it is JSON with `time`, `level`, `message`, `error` (`type`, `message`,
 * `stack`, `code`, `cause`) and the event's own fields; for people at a terminal it is text, errors' stack traces
 * following on lines of their own. Tokens and passwords are left out of both.
 */
export function createLog(level: LogLevel, options: LogOptions = {}): Log {
  const { isForPeople = process.stdout.isTTY === true, write = isForPeople ? writeForPeople : writeForPrograms } =
    options;
  const destination = {
    write(line: string) {
      const event = JSON.parse(line) as LogEvent;
      write(isForPeople ? textOf(event) : line, event.level);
    },
  };
  const target = isForPeople || options.write !== undefined ? destination : process.stdout;
  const logger = pino(
    {
      level,
      base: null,
      messageKey: "message",
      errorKey: "error",
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error: unknown) => describeError(error) },
      redact: { paths: SECRET_FIELDS.flatMap((name) => [name, `*.${name}`]), censor: HIDDEN },
    },
    target,
  );
  const writer = (name: LogLevel) => (message: string, error?: unknown, details?: LogDetails) => {
    if (!logger.isLevelEnabled(name)) return;
    logger[name]({ ...details, ...(error === undefined ? {} : { error }) }, hideSecrets(message));
  };
  return { error: writer("error"), warn: writer("warn"), info: writer("info"), debug: writer("debug") };
}

interface LogEvent {
  time: string;
  level: LogLevel;
  message: string;
  error?: DescribedError;
  [detail: string]: unknown;
}

/** What a log tells of an error: not its other properties, which may hold whatever was sent. */
interface DescribedError {
  type: string;
  message: string;
  stack?: string;
  code?: string;
  cause?: DescribedError;
}

function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: hideSecrets(String(error)) };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: hideSecrets(error.message),
    ...(error.stack === undefined ? {} : { stack: hideSecrets(error.stack) }),
    ...(typeof code === "string" ? { code } : {}),
    ...(error.cause === undefined || depth >= MAX_CAUSES ? {} : { cause: describeError(error.cause, depth + 1) }),
  };
}

function hideSecrets(text: string): string {
  return text
    .replace(PASSWORD_OF_URL, `$1:${HIDDEN}@`)
    .replace(BEARER_TOKEN, `Bearer ${HIDDEN}`)
    .replace(OWN_TOKEN, HIDDEN);
}

function textOf({ time, level, message, error, ...details }: LogEvent): string {
  const fields = Object.entries(details).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  const cause = error === undefined ? "" : `\n${error.stack ?? error.message}`;
  return `${time} ${level} ${message}${fields.join("")}${cause}\n`;
}

function writeForPeople(line: string, level: LogLevel): void {
  (level === "error" || level === "warn" ? process.stderr : process.stdout).write(line);
}

function writeForPrograms(line: string): void {
  process.stdout.write(line);
}
