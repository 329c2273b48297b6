// `npm start`: builds what is out of date, then becomes the server (in this process, so that signals reach it).
import "./build.mjs";

await import("../dist/main.js");
