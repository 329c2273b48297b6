import type { Server } from "node:http";

/**
 * Connections open at the same time without settings: a browser has six, a proxy some dozens, and each takes some ten
 * kilobytes while it is idle.
 */
export const DEFAULT_MAX_CONNECTIONS = 4_000;
/** The share of one address, unless proxies stand in front: nobody else is kept out by one who only opens connections. */
const SHARE_OF_ADDRESS = 1 / 4;

/**
 * Closes connections beyond a number as soon as they are opened, and those of one address beyond its share.
 * @param isBehindProxies connections are then those of proxies, and may all come from one address
 */
export function boundConnections(server: Server, maxConnections: number, isBehindProxies: boolean): void {
  server.maxConnections = maxConnections;
  if (isBehindProxies) return;
  const most = Math.max(1, Math.floor(maxConnections * SHARE_OF_ADDRESS));
  const counts = new Map<string, number>();
  server.on("connection", (socket) => {
    const address = socket.remoteAddress ?? "";
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    socket.once("close", () => {
      const left = (counts.get(address) ?? 0) - 1;
      if (left > 0) counts.set(address, left);
      else counts.delete(address);
    });
    if (count > most) socket.destroy();
  });
}
