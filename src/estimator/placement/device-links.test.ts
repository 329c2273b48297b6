import { describe, expect, it } from "vitest";
import { type DeviceLinks, preferFastLinks } from "./device-links.js";
import type { ParallelPlan } from "./parallel-plans.js";

/** Splits of so many devices, the widest first, as `legalPlans` lists them for a model that takes all. */
function plans(devices: number): ParallelPlan[] {
  return Array.from({ length: devices }, (_, index) => devices - index)
    .filter((tensorParallel) => devices % tensorParallel === 0)
    .map((tensorParallel) => ({
      tensorParallel,
      pipelineParallel: devices / tensorParallel,
      expertParallel: false,
    }));
}

const widths = (devices: number, links: DeviceLinks) =>
  preferFastLinks(plans(devices), links).map(({ tensorParallel }) => tensorParallel);

describe("splits by the links between devices", () => {
  it.each<[string, number, DeviceLinks, number[]]>([
    ["one server board: the widest first", 8, { perNode: 8, fastDomain: 8 }, [8, 4, 2, 1]],
    ["pairs under bridges: within a pair, then the narrowest beyond", 4, { perNode: 4, fastDomain: 2 }, [2, 1, 4]],
    ["PCIe alone: stages first", 4, { perNode: 4, fastDomain: 1 }, [1, 2, 4]],
    ["two servers: never across", 16, { perNode: 8, fastDomain: 8 }, [8, 4, 2, 1]],
    ["instances of a rack: inside an instance", 8, { perNode: 4, fastDomain: 72 }, [4, 2, 1]],
    [
      "one of twelve on two boards: groups that straddle come last",
      12,
      { perNode: 12, fastDomain: 8 },
      [4, 2, 1, 3, 6, 12],
    ],
  ])("%s", (_, devices, links, expected) => {
    expect(widths(devices, links)).toEqual(expected);
  });
});
