import type { Device, DeviceOverheadTable } from "../../estimate.types.js";

const MIB = 2 ** 20;

/**
 * Memory a process takes on a device before llama.cpp loads anything: driver context and kernels. llama.cpp
 * itself reports it as "unaccounted". Measured: CUDA 107 MiB (RTX 4060 Ti, 34 SM) to 555 MiB (RTX PRO 6000,
 * 188 SM) (https://github.com/ggml-org/llama.cpp/pull/23604) and 120 to 550 MiB over other cards
 * (https://github.com/ggml-org/llama.cpp/pull/20595); HIP about 0.4 GiB on a 7900 XTX
 * (https://github.com/Quartermaster-Labs/Quartermaster/pull/24). Metal's working-set limit already leaves the
 * rest of memory to the system. The upper end is taken, so that a set said to fit does fit.
 */
export const LLAMA_CPP_DEVICE_OVERHEAD: DeviceOverheadTable = {
  nvidia: 550 * MIB,
  amd: 410 * MIB,
  apple: 0,
  default: 550 * MIB,
};

/** Fixed bytes on one device: its own figure, else by vendor; nothing on a device without limit. */
export function deviceOverheadBytes(device: Device, table: DeviceOverheadTable): number {
  if (device.overheadBytes !== undefined) {
    return device.overheadBytes;
  }
  if (device.capacityBytes === null) {
    return 0;
  }
  const vendor = device.vendor?.toLowerCase();
  return (vendor === undefined ? undefined : table[vendor]) ?? table.default;
}
