// `npm start`: builds what is out of date, then becomes the server. The playground is built once it answers.
import { setFlagsFromString } from "node:v8";
import { buildFor } from "./build.mjs";

// A start runs most of the embedded database's WebAssembly a few times only; optimizing it that early takes a tenth of
// the start. What runs often is still optimized, fifty times later than by default (bytes executed).
setFlagsFromString("--wasm-tiering-budget=100000000");

try {
  await buildFor("serve");
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
await import("../dist/main.js");
// Once the server listens, so that its first start has the machine to itself.
buildFor("browse").catch((error) => console.error(`The playground could not be built. ${error.message}`));

// npm runs this through a shell that ends on SIGTERM without passing it on; losing the parent is the same request.
const PARENT_CHECK_MS = 250;
const parent = process.ppid;
if (process.env.npm_lifecycle_event === "start") {
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, "SIGTERM");
  }, PARENT_CHECK_MS).unref();
}
