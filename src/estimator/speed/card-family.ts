import type { CardFamily, SpeedCard } from "./speed.types.js";

/** What holds for a card that no family matches. */
const NO_FAMILY = { bandwidth: 1, compute: 1, launch: 1, cache: 1 };

/** The factors of a card's family; 1 throughout where none matches. */
export function familyOf(card: SpeedCard, families: readonly CardFamily[]): CardFamily | null {
  return families.find((family) => matches(card, family)) ?? null;
}

/** The factors that hold on a card. */
export function factorsOf(card: SpeedCard, families: readonly CardFamily[]): typeof NO_FAMILY {
  return familyOf(card, families) ?? NO_FAMILY;
}

function matches(card: SpeedCard, family: CardFamily): boolean {
  const { vendors, architectures, classes, memory, architectureSuffix } = family;
  return (
    (vendors === undefined || vendors.includes(card.vendor)) &&
    (architectures === undefined || architectures.includes(card.architecture)) &&
    (classes === undefined || classes.includes(card.gpuClass)) &&
    (memory === undefined || card.memoryType.startsWith(memory)) &&
    (architectureSuffix === undefined || card.architecture.endsWith(architectureSuffix))
  );
}
