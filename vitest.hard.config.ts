import { defineConfig } from "vitest/config";
import shared from "./vitest.config.js";

/**
 * Edits that must not get lost, whatever happens: processes killed, databases that go away, and ten thousand edits
 * against a model of the catalogue. `npm test` has fewer of the same.
 */
export default defineConfig({
  ...shared,
  test: {
    ...shared.test,
    include: ["test/hard/**/*.test.ts", "test/process/killed-edits.test.ts", "test/api/random-edits.test.ts"],
    exclude: [],
    // Both of each kind of database.
    env: { KILL_ROUNDS: "50", RANDOM_EDITS: "5000" },
  },
});
