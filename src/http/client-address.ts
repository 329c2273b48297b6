import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import proxyAddress from "proxy-addr";

/** Names that `proxy-addr` knows for ranges of addresses. */
const RANGE_NAMES = ["loopback", "linklocal", "uniquelocal"] as const;

/** Groups of 16 bits that name a network in IPv6: a subscriber gets a /64 at least, and chooses freely within it. */
const NETWORK_GROUPS = 4;
const ALL_GROUPS = 8;

/** Finds out where a request comes from. */
export type ClientAddress = (request: IncomingMessage) => string;

/** Whether an entry of the list of trusted proxies is an address, a range such as `10.0.0.0/8`, or a range's name. */
export function isProxyRange(text: string): boolean {
  if (RANGE_NAMES.some((name) => name === text)) return true;
  if (isIP(text.split("/", 1)[0] ?? "") === 0) return false;
  try {
    proxyAddress.compile(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Where requests come from, to count by: the address of the connection, or what the proxies in front say in
 * `X-Forwarded-For`, believed only as far as each of them is trusted. An IPv6 address is cut to its network
 * (`2001:db8:0:1::/64`), as one client has all of it.
 * @param trustedProxies addresses, ranges in CIDR notation, and `loopback`, `linklocal` or `uniquelocal`
 * @throws TypeError for an entry that is none of these
 */
export function createClientAddress(trustedProxies: readonly string[]): ClientAddress {
  const isTrusted = proxyAddress.compile([...trustedProxies]);
  return (request) => {
    // From the connection outwards, ending at the first that is not trusted.
    const chain = proxyAddress.all(request, (address, index) => isTrusted(withoutPort(address ?? ""), index));
    const known = chain.map((address) => withoutPort(address ?? "")).findLast((address) => isIP(address) !== 0);
    return known === undefined ? "" : networkOf(known);
  };
}

/** Some proxies name the client's port too: `203.0.113.7:52118`, `[2001:db8::1]:443`. */
function withoutPort(address: string): string {
  if (isIP(address) !== 0) return address;
  return /^\[([^\]]*)\](?::\d+)?$/.exec(address)?.[1] ?? /^([\d.]+):\d+$/.exec(address)?.[1] ?? address;
}

/** An IPv4 address as it is, also where it is written as IPv6; the network of any other. */
function networkOf(address: string): string {
  if (isIP(address) === 4) return address;
  // The parser of addresses in URLs writes each in one way only; a zone such as %eth0 is a matter of this machine.
  const canonical = new URL(`http://[${address.split("%", 1)[0]}]`).hostname.slice(1, -1);
  const [head = "", tail = ""] = canonical.split("::");
  const before = head === "" ? [] : head.split(":");
  const after = tail === "" ? [] : tail.split(":");
  const groups = [...before, ...Array<string>(ALL_GROUPS - before.length - after.length).fill("0"), ...after];
  const isMapped = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  if (isMapped) return toIpv4(groups.slice(-2));
  return `${groups.slice(0, NETWORK_GROUPS).join(":")}::/64`;
}

/** The dotted form of the last 32 bits. */
function toIpv4(groups: readonly string[]): string {
  return groups
    .map((group) => Number.parseInt(group, 16))
    .flatMap((bits) => [bits >> 8, bits & 0xff])
    .join(".");
}
