import type { Hardware } from "./devices.js";

/** Devices in words: "2 x NVIDIA RTX 3090 24GB + 1 x NVIDIA RTX 4090 24GB", equal neighbours together, or the system. */
export function describeHardware({ gpus, system }: Pick<Hardware, "gpus" | "system">): string {
  const sets: { name: string; count: number }[] = [];
  for (const { name } of gpus) {
    const last = sets.at(-1);
    if (last?.name === name) last.count += 1;
    else sets.push({ name, count: 1 });
  }
  const cards = sets.map(({ name, count }) => `${count} x ${name}`).join(" + ");
  return system === null ? cards : `${system.name} (${cards})`;
}
