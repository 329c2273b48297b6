// Loaded ahead of a server that is measured: tells the parent what the process has used so far when asked.
process.on("message", (question) => {
  if (question !== "report" && question !== "collect") return;
  if (question === "collect") globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  process.send({ cpuMs: (user + system) / 1000, rss, heapUsed });
});
// Asking must not keep a server alive that wants to end.
process.channel?.unref();
