/** A model cut into parts that stay whole, in the order they run. All sizes are bytes. */
interface SpreadInput {
  /** Token embedding and other tables read by token id. */
  embedding: number;
  layers: readonly number[];
  /** Final norm and output matrix, without a tied one. */
  output: number;
  /** The output matrix is the token embedding: both have to be on one device. */
  tied: boolean;
}

export interface SpreadPlacement {
  /** Device index of each part. */
  embedding: number;
  layers: number[];
  output: number;
}

/** Room that accelerate leaves on every device but the last, in sizes of the largest block. */
const BALANCE_BUFFER = 1.25;

/**
 * Layers over devices as accelerate's `device_map="auto"` deals them: each device but the last may take an equal share
 * of the whole and 1.25 of the largest block, never more than it has free; the first keeps room for the largest part
 * that is still to come.
 * Parts go to the devices in order, each whole (accelerate, `utils/modeling.py`, get_balanced_memory and
 * infer_auto_device_map). What fits nowhere is put on the last device, so that the total shows what is missing.
 *
 * @param free Bytes free on each device; null where not known.
 */
export function balanceLayers(input: SpreadInput, free: readonly (number | null)[]): SpreadPlacement {
  const largestLayer = maximum(input.layers);
  const whole = input.embedding + sum(input.layers) + input.output;
  const share = whole / Math.max(free.length, 1) + BALANCE_BUFFER * largestLayer;
  const largestPart = Math.max(largestLayer, input.output);
  const limits = free.map((bytes, device) => {
    const own = bytes ?? Number.POSITIVE_INFINITY;
    const limit = device === free.length - 1 ? own : Math.min(share, own);
    return device === 0 && free.length > 1 ? limit - largestPart : limit;
  });
  return fillInOrder(input, limits);
}

/**
 * Layers over devices in order, each filled before the next is begun (ExLlama's automatic split). The embedding is not
 * placed: ExLlama keeps it in host memory. A device whose room is not known takes an equal share and a layer more.
 *
 * @param room Bytes that may be used on each device; null where not known.
 * @param costs Bytes that each layer takes with its cache, and the output.
 */
export function fillLayers(
  costs: { layers: readonly number[]; output: number },
  room: readonly (number | null)[],
): SpreadPlacement {
  const largestPart = Math.max(maximum(costs.layers), costs.output);
  const share = (sum(costs.layers) + costs.output) / Math.max(room.length, 1) + largestPart;
  const limits = room.map((bytes) => bytes ?? share);
  return fillInOrder({ embedding: 0, layers: costs.layers, output: costs.output, tied: false }, limits);
}

/** Parts in order; a part that does not fit begins the next device. */
function fillInOrder(input: SpreadInput, limits: readonly number[]): SpreadPlacement {
  const last = limits.length - 1;
  let device = 0;
  let used = 0;
  const place = (bytes: number): number => {
    while (device < last && used + bytes > (limits[device] ?? 0)) {
      device += 1;
      used = 0;
    }
    used += bytes;
    return device;
  };
  const embedding = place(input.embedding);
  const layers = input.layers.map(place);
  const output = place(input.output);
  return { embedding, layers, output: input.tied ? embedding : output };
}

/** Layers in equal counts, the first devices taking one more where they do not divide. */
export function shareLayers(layerCount: number, deviceCount: number): number[] {
  const count = Math.floor(layerCount / deviceCount);
  const more = layerCount % deviceCount;
  return Array.from({ length: deviceCount }, (_, device) =>
    new Array<number>(count + (device < more ? 1 : 0)).fill(device),
  ).flat();
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
