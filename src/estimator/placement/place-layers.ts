/** Where a layer lives that is not on any device. */
export const HOST = -1;

export interface LayerPlacement {
  /** Device index of each block of the file, in order, prediction blocks last; {@link HOST} for host memory. */
  layers: number[];
  /** Device index of the output layer (final norm and output matrix). */
  output: number;
  /** Number of devices. */
  deviceCount: number;
}

export interface PlacementInput {
  /** Blocks in the file: the layers and the prediction (MTP) blocks kept in it. */
  blockCount: number;
  /** Layers to put on devices, the output layer counted as one; all if absent. */
  gpuLayers?: number | undefined;
  /** Share of each device, in any unit; none for host memory only. */
  shares: readonly number[];
}

/**
 * llama.cpp's layer split: the last `gpuLayers` of the blocks and the output layer go to devices, and of
 * those slot i of n goes to the first device whose cumulative share exceeds i / n
 * (llama.cpp, `llama-model.cpp`, load_tensors). Single precision, as there.
 */
export function placeLayers(input: PlacementInput): LayerPlacement {
  const { blockCount, shares } = input;
  const slots = blockCount + 1;
  const onDevices = shares.length === 0 ? 0 : Math.min(input.gpuLayers ?? slots, slots);
  const first = slots - onDevices;
  const bounds = cumulativeShares(shares);
  const placed: number[] = [];
  for (let slot = 0; slot < slots; slot += 1) {
    placed.push(slot < first ? HOST : deviceOfSlot(Math.fround((slot - first) / onDevices), bounds));
  }
  const output = placed.pop() ?? HOST;
  return { layers: placed, output, deviceCount: shares.length };
}

function cumulativeShares(shares: readonly number[]): number[] {
  let sum = 0;
  const sums = shares.map((share) => {
    sum = Math.fround(sum + Math.fround(share));
    return sum;
  });
  return sums.map((bound) => Math.fround(bound / sum));
}

function deviceOfSlot(position: number, bounds: readonly number[]): number {
  const found = bounds.findIndex((bound) => bound > position);
  return found === -1 ? bounds.length - 1 : found;
}
