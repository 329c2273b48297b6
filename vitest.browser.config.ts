import { defineConfig } from "vitest/config";

/** The playground in a real browser, against the built server: slow, so `npm test` leaves it out. */
export default defineConfig({
  test: {
    include: ["test/browser/**/*.test.ts"],
    globalSetup: "test/setup/build.ts",
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Keys and clicks race the page on a machine that is busy; what is broken fails every time.
    retry: 2,
  },
});
