import { defineConfig } from "prisma/config";

// `prisma generate` asks for a schema-engine binary that it does not run; naming any executable
// spares a download from outside npm. Migrations go through the WebAssembly build of the engine.
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= process.execPath;

export default defineConfig({
  schema: "prisma/schema.prisma",
  migrations: { path: "prisma/migrations" },
});
