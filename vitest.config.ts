import { fileURLToPath } from "node:url";
import { configDefaults, defineConfig } from "vitest/config";

/** Everything but what needs the compiled build or a browser; see the configurations beside this one. */
export default defineConfig({
  // Vite would take graphql's ES modules, while Apollo, outside Vite, has the CommonJS ones: two copies that
  // refuse each other's schemas.
  resolve: { alias: [{ find: /^graphql$/, replacement: fileURLToPath(import.meta.resolve("graphql")) }] },
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "seed/**/*.test.ts", "scripts/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "test/browser/**", "test/dist/**", "test/redis/**", "test/hard/**"],
    globalSetup: "test/setup/global.ts",
    pool: "forks",
    // Each worker may hold a PostgreSQL in memory.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
