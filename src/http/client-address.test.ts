import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { createClientAddress, isProxyRange } from "./client-address.js";

/** Where a request seems to come from. */
function find(trusted: readonly string[], peer: string | undefined, forwarded?: string): string {
  const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded };
  return createClientAddress(trusted)({ socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage);
}

describe("the client's address", () => {
  it("is the connection's, whatever a client claims, while no proxy is trusted", () => {
    expect(find([], "198.51.100.1")).toBe("198.51.100.1");
    expect(find([], "127.0.0.1", "203.0.113.7")).toBe("127.0.0.1");
    expect(find(["10.0.0.0/8"], "198.51.100.1", "203.0.113.7")).toBe("198.51.100.1");
  });

  it.each<[string, string[], string, string, string]>([
    ["one proxy", ["10.0.0.0/8"], "10.1.2.3", "203.0.113.7", "203.0.113.7"],
    ["what the client put before it", ["loopback"], "127.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"],
    ["two proxies", ["loopback", "10.0.0.0/8"], "127.0.0.1", "203.0.113.7, 10.0.0.9", "203.0.113.7"],
    ["a proxy reached over IPv6", ["loopback"], "::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["a port", ["loopback"], "::1", "203.0.113.7:52118", "203.0.113.7"],
    ["a port behind a proxy with one", ["loopback", "10.0.0.0/8"], "::1", "203.0.113.7:1, 10.0.0.9:2", "203.0.113.7"],
    ["an IPv6 address with a port", ["loopback"], "::1", "[2001:db8::1]:443", "2001:db8:0:0::/64"],
    ["a word", ["loopback"], "127.0.0.1", "unknown", "127.0.0.1"],
    ["nonsense", ["loopback"], "127.0.0.1", ",,' OR 1=1; --, ,", "127.0.0.1"],
    ["a word behind a proxy", ["loopback", "10.0.0.0/8"], "127.0.0.1", "unknown, 10.0.0.9", "10.0.0.9"],
    ["only proxies", ["10.0.0.0/8"], "10.0.0.1", "10.0.0.2", "10.0.0.2"],
  ])("is what trusted proxies say: %s", (_, trusted, peer, forwarded, address) => {
    expect(find(trusted, peer, forwarded)).toBe(address);
  });

  it("in IPv6 is the network, which one client has all of", () => {
    const network = "2001:db8:12:3::/64";
    for (const address of [
      "2001:db8:12:3::1",
      "2001:DB8:12:3:ffff:1:2:3",
      "2001:0db8:0012:0003::",
      "2001:db8:12:3::%e",
    ]) {
      expect(find([], address)).toBe(network);
    }
    expect(find([], "::ffff:203.0.113.7")).toBe("203.0.113.7");
    expect(find([], "::ffff:cb00:7107")).toBe("203.0.113.7");
    expect(find([], "::1")).toBe("0:0:0:0::/64");
  });

  it("is empty when the connection is gone", () => {
    expect(find(["loopback"], undefined, "203.0.113.7")).toBe("");
  });
});

describe("a range of proxies", () => {
  it.each(["loopback", "uniquelocal", "linklocal", "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "fd00::/8", "::1"])(
    "may be %s",
    (text) => {
      expect(isProxyRange(text)).toBe(true);
      expect(() => createClientAddress([text])).not.toThrow();
    },
  );

  it.each(["", "*", "all", "1", "0x7f", "example.org", "10.0.0.0/0", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129"])(
    "may not be %s",
    (text) => expect(isProxyRange(text)).toBe(false),
  );
});
