import type { RedisClientType } from "@redis/client";

/** What is added to a debt that is paid off with time. */
export interface DebtCharge {
  key: string;
  /** Milliseconds by which paying it off takes longer. */
  addMs: number;
  /** Milliseconds that it takes at most: what goes beyond is forgotten. */
  mostMs: number;
}

/**
 * Small things that several servers remember together. Whatever happens to it, nobody waits longer than a moment and
 * nothing is thrown: each server then goes on with what it knows itself.
 */
export interface SharedMemory {
  /** A text; undefined where there is none, or where it is not to be had. */
  get(key: string): Promise<string | undefined>;
  /** Keeps a text for so many seconds. */
  set(key: string, value: string, seconds: number): void;
  /**
   * Adds to the debts of several keys.
   * @returns for each the milliseconds until it is paid off; null where it is not to be had
   */
  addDebts(charges: readonly DebtCharge[]): Promise<readonly number[] | null>;
  close(): Promise<void>;
}

export interface SharedMemoryOptions {
  /** Called when it is lost. */
  onLost?: (error: unknown) => void;
  /** Called when it is there, first and again. */
  onFound?: () => void;
}

/** Milliseconds that somebody waits for an answer: a hundred times what one takes within a data centre. */
const PATIENCE_MS = 50;
/** Milliseconds for which it is left alone after it did not answer in time. */
const REST_MS = 2_000;
/** Milliseconds between attempts to reach it, more and more up to the second. */
const RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;
/** Milliseconds to reach it. */
const CONNECT_MS = 2_000;
/** Commands that wait for an answer, at most. */
const MAX_COMMANDS = 1_000;

/** Set before the names of all keys: other programs may share the server. */
const PREFIX = "vramql:";

/**
 * For each key: the moment when its debt is paid off, by the clock of the Redis server, moved on by what is added.
 * ARGV holds two numbers a key: what is added, and what it may come to at most.
 */
const ADD_DEBTS = `
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local debts = {}
for i, key in ipairs(KEYS) do
  local paid = math.max(now, tonumber(redis.call("GET", key)) or 0) + tonumber(ARGV[2 * i - 1])
  local debt = math.ceil(math.min(paid - now, tonumber(ARGV[2 * i])))
  if debt > 0 then redis.call("SET", key, string.format("%.0f", now + debt), "PX", debt) end
  debts[i] = debt
end
return debts
`;

/** The part of a Redis client that is used here. */
type Client = RedisClientType;

/**
 * Opens a memory in a Redis or Valkey server. Returns at once: as long as it cannot be reached, it knows nothing.
 * @param url as `redis://user:password@host:6379/0`, or `rediss://` for TLS
 */
export async function openSharedMemory(url: string, options: SharedMemoryOptions = {}): Promise<SharedMemory> {
  const { onLost = () => {}, onFound = () => {} } = options;
  const { createClient } = await import("@redis/client");
  let isLost = false;
  let restUntil = 0;

  const lose = (error: unknown) => {
    if (!isLost) onLost(error);
    isLost = true;
  };
  const find = () => {
    if (isLost) onFound();
    isLost = false;
  };

  const client = createClient({
    url,
    // What cannot be sent now is of no use later.
    disableOfflineQueue: true,
    commandsQueueMaxLength: MAX_COMMANDS,
    socket: {
      connectTimeout: CONNECT_MS,
      reconnectStrategy: (retries) => Math.min(RETRY_MS * (retries + 1), MAX_RETRY_MS),
    },
  }) as Client;
  client.on("error", lose);
  client.on("ready", () => {
    restUntil = 0;
    find();
  });
  client.connect().catch(lose);

  /** Asks, but not for long, and not at all shortly after it was too slow. */
  async function ask<Answer>(question: () => Promise<Answer>): Promise<Answer | undefined> {
    if (!client.isReady || performance.now() < restUntil) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const tooSlow = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    try {
      const answer = question();
      answer.catch(() => {});
      const result = await Promise.race([answer, tooSlow]);
      find();
      return result;
    } catch (error) {
      restUntil = performance.now() + REST_MS;
      lose(error);
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    get: async (key) => (await ask(() => client.get(PREFIX + key))) ?? undefined,
    set: (key, value, seconds) =>
      void ask(() => client.set(PREFIX + key, value, { expiration: { type: "EX", value: seconds } })),
    async addDebts(charges) {
      const answer = await ask(() =>
        client.eval(ADD_DEBTS, {
          keys: charges.map(({ key }) => `${PREFIX}debt:${key}`),
          arguments: charges.flatMap(({ addMs, mostMs }) => [String(addMs), String(mostMs)]),
        }),
      );
      return Array.isArray(answer) ? answer.map(Number) : null;
    },
    async close() {
      client.destroy();
    },
  };
}
