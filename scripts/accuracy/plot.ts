import type { Evidence } from "../../src/services/evidence/evidence.js";
import type { AccuracyComponent } from "../../src/services/evidence/types.js";

const SIZE = 640;
const MARGIN = 60;
const GIB = 2 ** 30;
/** Ends of both axes, powers of ten of GiB. */
const LOWEST = -3;
const HIGHEST = 3;

const COLOURS: Readonly<Partial<Record<AccuracyComponent, string>>> = {
  WEIGHTS: "#1b6ca8",
  KV_CACHE: "#2a9d8f",
  KV_POOL: "#7b5ea7",
  COMPUTE: "#d1495b",
  TOTAL: "#e6a817",
};

/** Estimated against measured bytes of every figure compared, both on logarithmic axes, as an SVG image. */
export function plotFigures(evidence: readonly Evidence[]): string {
  const points = evidence.flatMap(({ comparisons, measurement }) =>
    comparisons.flatMap(({ component, measured, estimated, error }) => {
      const colour = COLOURS[component];
      if (colour === undefined) return [];
      const title = `${measurement.slug} ${component}: ${(100 * error).toFixed(2)}%`;
      return `<circle cx="${x(measured)}" cy="${y(estimated)}" r="3" fill="${colour}" fill-opacity="0.55"><title>${title}</title></circle>`;
    }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE} ${SIZE}" font-family="sans-serif" font-size="12">`,
    `<rect width="${SIZE}" height="${SIZE}" fill="#fff"/>`,
    ...axisLines(),
    `<line x1="${x(lowest())}" y1="${y(lowest())}" x2="${x(highest())}" y2="${y(highest())}" stroke="#555"/>`,
    ...points,
    ...legend(),
    `<text x="${SIZE / 2}" y="${SIZE - 12}" text-anchor="middle">measured, GiB</text>`,
    `<text transform="translate(16 ${SIZE / 2}) rotate(-90)" text-anchor="middle">estimated, GiB</text>`,
    "</svg>",
    "",
  ].join("\n");
}

const lowest = () => GIB * 10 ** LOWEST;
const highest = () => GIB * 10 ** HIGHEST;

function share(bytes: number): number {
  const power = Math.log10(bytes / GIB);
  return (Math.min(HIGHEST, Math.max(LOWEST, power)) - LOWEST) / (HIGHEST - LOWEST);
}

function x(bytes: number): string {
  return (MARGIN + share(bytes) * (SIZE - 2 * MARGIN)).toFixed(1);
}

function y(bytes: number): string {
  return (SIZE - MARGIN - share(bytes) * (SIZE - 2 * MARGIN)).toFixed(1);
}

function axisLines(): string[] {
  const powers = Array.from({ length: HIGHEST - LOWEST + 1 }, (_, index) => LOWEST + index);
  return powers.flatMap((power) => {
    const bytes = GIB * 10 ** power;
    const label = power < 0 ? (10 ** power).toFixed(-power) : String(10 ** power);
    return [
      `<line x1="${x(bytes)}" y1="${MARGIN}" x2="${x(bytes)}" y2="${SIZE - MARGIN}" stroke="#ddd"/>`,
      `<line x1="${MARGIN}" y1="${y(bytes)}" x2="${SIZE - MARGIN}" y2="${y(bytes)}" stroke="#ddd"/>`,
      `<text x="${x(bytes)}" y="${SIZE - MARGIN + 18}" text-anchor="middle">${label}</text>`,
      `<text x="${MARGIN - 8}" y="${y(bytes)}" text-anchor="end" dominant-baseline="middle">${label}</text>`,
    ];
  });
}

function legend(): string[] {
  return Object.entries(COLOURS).flatMap(([component, colour], index) => {
    const top = MARGIN + 10 + index * 18;
    return [
      `<circle cx="${MARGIN + 14}" cy="${top}" r="4" fill="${colour}"/>`,
      `<text x="${MARGIN + 24}" y="${top}" dominant-baseline="middle">${component}</text>`,
    ];
  });
}
