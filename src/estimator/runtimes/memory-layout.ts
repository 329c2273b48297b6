import type {
  CachePool,
  CalculationStep,
  Device,
  DeviceMemory,
  EstimateWarning,
  KvCacheLayerGroup,
  WeightsBreakdown,
} from "../estimate.types.js";

/** Where a model goes when nothing is said of the hardware. */
export const UNLIMITED_DEVICE: Device = { name: "unlimited", capacityBytes: null };

/** What a runtime allocates for a request, device by device. All sizes are bytes. */
export interface MemoryLayout {
  weights: WeightsBreakdown;
  /** Over all devices and the host, copies counted as often as they are stored. */
  cacheBytes: number;
  /** Growth of `cacheBytes` per further token of one sequence. */
  cacheBytesPerToken: number;
  cacheGroups: KvCacheLayerGroup[];
  devices: DeviceMemory[];
  host: { weights: number; kvCache: number; compute: number };
  /** The cache that the runtime makes of what is left on devices of known capacity; null where it makes none. */
  pool: CachePool | null;
  /** Sequences the runtime computes at once at most, whatever the memory; no limit but memory if absent. */
  mostSequences?: number;
  steps: () => CalculationStep[];
  /** What the runtime has to say of the request; what holds for every runtime is added elsewhere. */
  warnings: () => EstimateWarning[];
}
