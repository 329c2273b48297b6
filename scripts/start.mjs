// `npm start`: builds what is out of date, then becomes the server. The playground is built beside the server's start.
import { buildFor } from "./build.mjs";

try {
  await buildFor("serve");
} catch (error) {
  console.error(error.message);
  process.exit(1);
}
buildFor("browse").catch((error) => console.error(`The playground could not be built. ${error.message}`));
await import("../dist/main.js");

// npm runs this through a shell that ends on SIGTERM without passing it on; losing the parent is the same request.
const PARENT_CHECK_MS = 250;
const parent = process.ppid;
if (process.env.npm_lifecycle_event === "start") {
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, "SIGTERM");
  }, PARENT_CHECK_MS).unref();
}
