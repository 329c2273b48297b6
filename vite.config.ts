import { defineConfig } from "vite";

/**
 * Builds the playground: GraphiQL with its editor, workers and styles into dist/playground, nothing left to fetch from
 * elsewhere. The server returns its index.html to browsers at /graphql and serves every file under /playground/.
 */
export default defineConfig({
  root: "src/playground",
  base: "/playground/",
  build: {
    outDir: "../../dist/playground",
    emptyOutDir: true,
    target: "es2022",
    // The editor alone is 2.8 MB; a warning about it helps nobody.
    chunkSizeWarningLimit: 3000,
    // The bundled packages' licences ask that their texts travel along.
    license: { fileName: "licences.md" },
    rolldownOptions: {
      onLog(level, log, report) {
        // "use client" means something to React on a server only.
        if (log.code !== "MODULE_LEVEL_DIRECTIVE") report(level, log);
      },
    },
  },
});
