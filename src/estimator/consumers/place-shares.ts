/** Bytes by device and in host memory. */
export interface PlacedShares {
  bytesByDevice: number[];
  hostBytes: number;
}

/**
 * Bytes that follow each layer, added up by the layer's place. Layers are on devices in order; those on none come first
 * and are in host memory. Where every device has all layers (each matrix shared), all bytes count on every device.
 *
 * @param devicesPerStage - neighbours that share the layers of a pipeline stage: the bytes count on each of them.
 */
export function placeByLayer(
  bytesByLayer: readonly number[],
  layersByDevice: readonly number[],
  devicesPerStage = 1,
): PlacedShares {
  if (devicesPerStage > 1) {
    const stages = layersByDevice.filter((_, device) => device % devicesPerStage === 0);
    const { bytesByDevice, hostBytes } = placeByLayer(bytesByLayer, stages);
    return {
      bytesByDevice: layersByDevice.map((_, device) => bytesByDevice[Math.floor(device / devicesPerStage)] ?? 0),
      hostBytes,
    };
  }
  const layerCount = bytesByLayer.length;
  const isShared = layersByDevice.length > 1 && layersByDevice.every((layers) => layers === layerCount);
  if (isShared) {
    const all = bytesByLayer.reduce((sum, bytes) => sum + bytes, 0);
    return { bytesByDevice: layersByDevice.map(() => all), hostBytes: 0 };
  }
  const placed = layersByDevice.reduce((sum, layers) => sum + layers, 0);
  let layer = Math.max(layerCount - placed, 0);
  const sumOf = (from: number, to: number) => bytesByLayer.slice(from, to).reduce((sum, bytes) => sum + bytes, 0);
  const hostBytes = sumOf(0, layer);
  const bytesByDevice = layersByDevice.map((layers) => {
    const bytes = sumOf(layer, layer + layers);
    layer += layers;
    return bytes;
  });
  return { bytesByDevice, hostBytes };
}

/** All bytes where the last layer is: on the last device with a layer, in host memory where there is none. */
export function placeAtEnd(bytes: number, layersByDevice: readonly number[]): PlacedShares {
  const last = layersByDevice.findLastIndex((layers) => layers > 0);
  return {
    bytesByDevice: layersByDevice.map((_, device) => (device === last ? bytes : 0)),
    hostBytes: last === -1 ? bytes : 0,
  };
}

/** All bytes on the first device, in host memory where there is none. */
export function placeAtStart(bytes: number, layersByDevice: readonly number[]): PlacedShares {
  return {
    bytesByDevice: layersByDevice.map((_, device) => (device === 0 ? bytes : 0)),
    hostBytes: layersByDevice.length === 0 ? bytes : 0,
  };
}
