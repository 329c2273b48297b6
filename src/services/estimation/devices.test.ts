import { describe, expect, it } from "vitest";
import type { GpuRow, RuntimeRow } from "../../data/rows.js";
import { cudaReserveBytes } from "../../estimator/consumers/driver-memory.js";
import { describeDevice } from "./devices.js";

const MIB = 2 ** 20;

function reserveMib(gpu: Partial<GpuRow>, constants: object): number {
  const card = { slug: "card", vendor: "NVIDIA", memoryUsableMib: 24_124, multiprocessors: null, ...gpu } as GpuRow;
  return (describeDevice(card, { constants } as unknown as RuntimeRow).reserveBytes ?? 0) / MIB;
}

describe("what the driver holds on a card", () => {
  const byVendor = { deviceReserveMibByVendor: { NVIDIA: 550, AMD: 410 } };
  const byContext = { ...byVendor, deviceReserveByVendor: { NVIDIA: "CUDA_CONTEXT" } };

  it("follows the multiprocessors where the runtime's row asks for it", () => {
    expect(reserveMib({ multiprocessors: 82 }, byContext)).toBe(cudaReserveBytes(82) / MIB);
    expect(reserveMib({ multiprocessors: 82 }, byVendor)).toBe(550);
  });

  it("is the vendor's figure where their number is not known, and nothing where there is no figure", () => {
    expect(reserveMib({}, byContext)).toBe(550);
    expect(reserveMib({ vendor: "AMD" }, byContext)).toBe(410);
    expect(reserveMib({ vendor: "Intel" }, byContext)).toBe(0);
    expect(reserveMib({ multiprocessors: 82 }, {})).toBe(0);
  });
});
