/** Tells the parent where a server listens. */
export function listen(address: unknown): void {
  process.send?.({ port: (address as { port: number }).port });
}
