import { createServer } from "node:http";
import { listen } from "./listen.js";

/** Answers by path, to be turned into text for every request; the parent sends them. */
const answers = new Map<string, unknown>();
process.on("message", (message) => {
  if (typeof message !== "object" || message === null) return;
  for (const [path, answer] of Object.entries(message)) answers.set(path, answer);
});

/** The least that any server in Node does: reads a request, turns an object into JSON and sends it. */
const server = createServer((request, response) => {
  request.on("data", () => {});
  request.on("end", () => {
    const text = JSON.stringify(answers.get(request.url ?? "/"));
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
    response.end(text);
  });
});
server.listen(0, "127.0.0.1", () => listen(server.address()));
