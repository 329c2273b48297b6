import { existsSync } from "node:fs";
import { type Fault, type LimitsConfig, readLimits } from "./config-limits.js";
import type { DatabaseTarget } from "./data/database.js";
import { isProxyRange } from "./http/client-address.js";
import { type LogLevel, logLevels } from "./log.js";
import type { SignInSettings } from "./services/access/sign-in-provider.js";
import type { HubSettings } from "./services/imports/hub/guarded-fetch.js";
import { readSignInSettings } from "./sign-in-settings.js";

/** All settings of a server; every one has a default. */
export interface Config {
  /** Port to listen on; 0 lets the system choose. */
  port: number;
  /** Address to listen on. */
  host: string;
  database: DatabaseTarget;
  /** Folder of the embedded database, its lock and the generated admin token. */
  dataDir: string;
  /** Bearer token of the first administrator; null when none was given. */
  adminToken: string | null;
  /** Origins whose pages may call the API; `*` stands for any. */
  corsOrigins: readonly string[];
  logLevel: LogLevel;
  /** Address that people reach the server at, without a slash at its end; null: the one it listens on. */
  publicUrl: string | null;
  /** Proxies whose word about where a request comes from is taken: addresses, ranges, names of ranges. */
  trustedProxies: readonly string[];
  /** The OpenID provider whose tokens are taken; null: only tokens of this server are. */
  signIn: SignInSettings | null;
  /** A Redis or Valkey server whose memory several servers share; null for none. */
  redisUrl: string | null;
  limits: LimitsConfig;
  /** The hub that models are imported from; null where none may be contacted. */
  hub: HubSettings | null;
  /** Ranges of addresses that may read `/metrics`; `all`: anybody may; `off`: nothing is counted. */
  metrics: readonly string[] | "all" | "off";
  /** Milliseconds that a start waits for a database server that cannot be reached. */
  databaseWaitMs: number;
}

/** Settings that cannot be used, a sentence for each. */
export class ConfigurationError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigurationError";
    this.problems = problems;
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_PORT = 4000;
const MAX_PORT = 65_535;
const DEFAULT_HOST = "127.0.0.1";
const DEFAULT_DATA_DIR = ".data";
const DEFAULT_HUB = "https://huggingface.co";
/** Stands for no hub at all. */
const NO_HUB = "off";
/** A machine that starts together with this one's has its database up within a few minutes. */
const DEFAULT_DATABASE_WAIT_SECONDS = 300;
const MAX_DATABASE_WAIT_SECONDS = 86_400;
/** Shorter tokens can be guessed. */
const MIN_ADMIN_TOKEN_LENGTH = 16;

/**
 * Settings from the environment and from a `.env` file in the working directory, the environment winning.
 * @throws ConfigurationError with every problem at once
 */
export function loadConfig(): Config {
  if (existsSync(".env")) process.loadEnvFile(".env");
  return readConfig(process.env);
}

/**
 * Settings from given variables; an empty one counts as absent.
 * @throws ConfigurationError with every problem at once
 */
export function readConfig(environment: Environment): Config {
  const problems: string[] = [];
  const given = (name: string) => environment[name]?.trim() || undefined;
  const read = <Value>(name: string, parse: (text: string) => Value | Problem, fallback: Value): Value => {
    const text = given(name);
    if (text === undefined) return fallback;
    const value = parse(text);
    if (!(value instanceof Problem)) return value;
    problems.push(`${name} ${value.sentence}`);
    return fallback;
  };

  const dataDir = read<string>("DATA_DIR", (text) => text, DEFAULT_DATA_DIR);
  const config: Config = {
    port: read<number>("PORT", parsePort, DEFAULT_PORT),
    host: read<string>("HOST", (text) => text, DEFAULT_HOST),
    database: read<DatabaseTarget>("DATABASE_URL", parseDatabaseUrl, {
      kind: "embedded",
      folder: dataDir,
    }),
    dataDir,
    adminToken: read<string | null>("ADMIN_TOKEN", parseAdminToken, null),
    corsOrigins: read<readonly string[]>("CORS_ORIGINS", parseOrigins, []),
    logLevel: read<LogLevel>("LOG_LEVEL", parseLogLevel, "info"),
    publicUrl: read<string | null>("PUBLIC_URL", parsePublicUrl, null),
    trustedProxies: read<readonly string[]>("TRUSTED_PROXIES", parseProxies, []),
    signIn: readSignInSettings(given, problems),
    redisUrl: read<string | null>("REDIS_URL", parseRedisUrl, null),
    limits: readLimits((name, parse, fallback) => read(name, (text) => problemOf(parse(text)), fallback)),
    hub: withHub(read<string>("HUGGINGFACE_URL", parseHubUrl, DEFAULT_HUB), {
      token: read<string | null>("HUGGINGFACE_TOKEN", parseToken, null),
      fileOrigins: read<readonly string[]>("HUGGINGFACE_FILE_HOSTS", parseFileHosts, []),
    }),
    metrics: read<Config["metrics"]>("METRICS", parseMetrics, ["loopback"]),
    databaseWaitMs: read<number>("DATABASE_WAIT_SECONDS", parseWait, DEFAULT_DATABASE_WAIT_SECONDS) * 1_000,
  };
  if (problems.length > 0) throw new ConfigurationError(problems);
  return config;
}

/** What is wrong with a setting, to follow its name. */
class Problem {
  readonly sentence: string;

  constructor(sentence: string) {
    this.sentence = sentence;
  }
}

/** A fault that others found. */
function problemOf<Value>(value: Value | Fault): Value | Problem {
  return typeof value === "object" && value !== null && "fault" in value ? new Problem(value.fault) : (value as Value);
}

function withHub(url: string, settings: Omit<HubSettings, "url">): HubSettings | null {
  return url === NO_HUB ? null : { url, ...settings };
}

/** The address may hold a password where none should be, so that the message does not repeat it. */
function parseHubUrl(text: string): string | Problem {
  if (text.toLowerCase() === NO_HUB) return NO_HUB;
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && isWeb(url) && `${url.username}${url.password}${url.search}${url.hash}` === "";
  return isPlain
    ? text.replace(/\/+$/, "")
    : new Problem(`must be an address such as ${DEFAULT_HUB}, or ${NO_HUB} for none.`);
}

/** Hosts stand for their origins by HTTPS. */
function parseFileHosts(text: string): readonly string[] | Problem {
  const origins = splitList(text).map((host) => (host.includes("://") ? host : `https://${host}`));
  const wrong = origins.find((origin) => !isOrigin(origin));
  return wrong === undefined
    ? origins
    : new Problem(`must be hosts such as cdn.example.org, separated by commas; "${wrong}" is none.`);
}

function parseToken(text: string): string | Problem {
  return /^[\x21-\x7e]+$/.test(text) ? text : new Problem("must consist of visible ASCII characters without spaces.");
}

function parsePort(text: string): number | Problem {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= MAX_PORT ? port : new Problem(`must be a port from 0 to ${MAX_PORT}, not "${text}".`);
}

/** The URL may hold a password, so that the message does not repeat it. */
function parseDatabaseUrl(text: string): DatabaseTarget | Problem {
  const protocol = URL.canParse(text) ? new URL(text).protocol : "";
  return protocol === "postgres:" || protocol === "postgresql:"
    ? { kind: "postgres", url: text }
    : new Problem("must look like postgresql://user:password@host:5432/database.");
}

/** The URL may hold a password, so that the message does not repeat it. */
function parseRedisUrl(text: string): string | Problem {
  const protocol = URL.canParse(text) ? new URL(text).protocol : "";
  return protocol === "redis:" || protocol === "rediss:"
    ? text
    : new Problem("must look like redis://user:password@host:6379/0.");
}

function parseAdminToken(text: string): string | Problem {
  if (text.length < MIN_ADMIN_TOKEN_LENGTH) {
    return new Problem(`must have at least ${MIN_ADMIN_TOKEN_LENGTH} characters.`);
  }
  return /^[\x21-\x7e]+$/.test(text) ? text : new Problem("must consist of visible ASCII characters without spaces.");
}

/** What stands between commas. */
function splitList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

function parseProxies(text: string): readonly string[] | Problem {
  const proxies = splitList(text);
  const wrong = proxies.find((proxy) => !isProxyRange(proxy));
  return wrong === undefined
    ? proxies
    : new Problem(
        `must be addresses, ranges such as 10.0.0.0/8, or loopback, linklocal or uniquelocal, separated by commas; "${wrong}" is none.`,
      );
}

function parseMetrics(text: string): Config["metrics"] | Problem {
  const word = text.toLowerCase();
  if (word === "all" || word === "off") return word;
  const ranges = splitList(text);
  const wrong = ranges.find((range) => !isProxyRange(range));
  return wrong === undefined
    ? ranges
    : new Problem(`must be all, off, or addresses and ranges as in TRUSTED_PROXIES; "${wrong}" is none.`);
}

function parseWait(text: string): number | Problem {
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return seconds <= MAX_DATABASE_WAIT_SECONDS
    ? seconds
    : new Problem(`must be a whole number of seconds from 0 to ${MAX_DATABASE_WAIT_SECONDS}, not "${text}".`);
}

function parseOrigins(text: string): readonly string[] | Problem {
  const origins = splitList(text);
  const wrong = origins.find((origin) => origin !== "*" && !isOrigin(origin));
  return wrong === undefined
    ? origins
    : new Problem(`must be origins such as https://example.org, separated by commas, or *; "${wrong}" is none.`);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && isWeb(new URL(text)) && new URL(text).origin === text;
}

function isWeb(url: URL): boolean {
  return url.protocol === "http:" || url.protocol === "https:";
}

function parseLogLevel(text: string): LogLevel | Problem {
  return (
    logLevels.find((level) => level === text.toLowerCase()) ?? new Problem(`must be one of ${logLevels.join(", ")}.`)
  );
}

function parsePublicUrl(text: string): string | Problem {
  return URL.canParse(text) && isWeb(new URL(text))
    ? text.replace(/\/+$/, "")
    : new Problem(`must be an address such as https://vram.example.org, not "${text}".`);
}
