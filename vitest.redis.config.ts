import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** What several servers share over Redis: needs Debian's redis-server, so `npm test` leaves it out. */
export default defineConfig({
  // As in vitest.config.ts: one copy of graphql.
  resolve: { alias: [{ find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve("graphql")) }] },
  test: { include: ["test/redis/**/*.test.ts"], testTimeout: 60_000 },
});
