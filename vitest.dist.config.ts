import { defineConfig } from "vitest/config";

/** The compiled build as processes of its own: starts, locks, signals, kills. */
export default defineConfig({
  test: {
    include: ["test/dist/**/*.test.ts"],
    globalSetup: "test/setup/build.ts",
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
