/** Failures of one address within the window after which its tokens are not looked at any more. */
const MAX_FAILURES = 20;
const WINDOW_MS = 60_000;
/** Addresses remembered; the oldest are forgotten first, so that memory stays bounded whoever tries. */
const MAX_ADDRESSES = 10_000;

/** Counts tokens that were refused, by the address they came from. */
export interface FailedLogins {
  /** Seconds until an address may try again; 0 when it may now. */
  waitSeconds(address: string): number;
  note(address: string): void;
}

interface Failures {
  count: number;
  since: number;
}

/** Counts failures in windows of a minute. @param now milliseconds of a clock that only goes forward */
export function createFailedLogins(now: () => number = () => performance.now()): FailedLogins {
  const byAddress = new Map<string, Failures>();
  const current = (address: string): Failures | undefined => {
    const failures = byAddress.get(address);
    return failures !== undefined && now() - failures.since < WINDOW_MS ? failures : undefined;
  };
  return {
    waitSeconds(address) {
      const failures = current(address);
      if (failures === undefined || failures.count < MAX_FAILURES) return 0;
      return Math.ceil((failures.since + WINDOW_MS - now()) / 1_000);
    },
    note(address) {
      const failures = current(address) ?? { count: 0, since: now() };
      failures.count++;
      byAddress.delete(address);
      byAddress.set(address, failures);
      const [oldest] = byAddress.keys();
      if (byAddress.size > MAX_ADDRESSES && oldest !== undefined) byAddress.delete(oldest);
    },
  };
}
