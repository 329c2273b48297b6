import { GIB, MIB } from "./byte-units.js";

const KIB = 2 ** 10;

/** A size for people: GiB from 10 GiB on, MiB below, exact bytes when small. */
export function sizeText(bytes: number): string {
  if (bytes >= 10 * GIB) {
    return `${(bytes / GIB).toFixed(2)} GiB`;
  }
  if (bytes >= MIB) {
    return `${(bytes / MIB).toFixed(2)} MiB`;
  }
  return bytes >= KIB ? `${(bytes / KIB).toFixed(1)} KiB` : `${bytes} B`;
}

/** A whole number with thousands separated by commas. */
export function countText(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}
