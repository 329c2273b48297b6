import { z } from "zod";
import { GpuClass, GpuForm } from "../../../data/prisma/enums.js";
import { date, maybe, memoryGib, name, notNegative, positive, positiveInt, slug, sources, text } from "./fields.js";

/** Bytes in a MiB are 2^-10 of those in a GiB. */
const MIB_PER_GIB = 1_024;

/** Eight times the largest of today. */
const MAX_MEMORY_GIB = 4_096;

/** A GPU as people give it; units as in the names. */
export const gpuInput = z
  .strictObject({
    slug,
    name,
    vendor: name,
    architecture: name,
    gpuClass: z.enum(GpuClass),
    form: z.enum(GpuForm),
    memoryNominalGib: memoryGib(MAX_MEMORY_GIB),
    memoryVisibleMib: maybe(positive),
    memoryVisibleBasis: maybe(text),
    memoryUsableMib: maybe(positive),
    memoryUsableBasis: maybe(text),
    memoryType: name,
    bandwidthGbPerSecond: maybe(positive),
    fp16Tflops: maybe(positive),
    fp8Tflops: maybe(positive),
    fp4Tflops: maybe(positive),
    int8Tops: maybe(positive),
    fp32Tflops: maybe(positive),
    tdpWatts: maybe(positiveInt),
    computeCapability: maybe(name),
    multiprocessors: maybe(positiveInt),
    interconnect: maybe(name),
    interconnectGbPerSecond: maybe(positive),
    pcie: maybe(name),
    releasedOn: maybe(date),
    msrpUsd: maybe(notNegative),
    streetUsd: maybe(notNegative),
    streetPriceAsOf: maybe(date),
    usdPerHour: maybe(notNegative),
    usdPerHourAsOf: maybe(date),
    supportsBf16: z.boolean(),
    supportsFp8: z.boolean(),
    supportsFp4: z.boolean(),
    notes: maybe(text),
    sources,
  })
  .check((context) => {
    const { memoryNominalGib, memoryVisibleMib, memoryUsableMib } = context.value;
    const nominalMib = memoryNominalGib * MIB_PER_GIB;
    if (memoryVisibleMib !== null && memoryVisibleMib > nominalMib) {
      context.issues.push({
        code: "custom",
        input: memoryVisibleMib,
        path: ["memoryVisibleMib"],
        message: `must not exceed the nominal memory, ${nominalMib} MiB`,
      });
    }
    const limitMib = memoryVisibleMib ?? nominalMib;
    if (memoryUsableMib !== null && memoryUsableMib > limitMib) {
      context.issues.push({
        code: "custom",
        input: memoryUsableMib,
        path: ["memoryUsableMib"],
        message: `must not exceed what is visible, ${limitMib} MiB`,
      });
    }
  });
export type GpuInput = z.infer<typeof gpuInput>;
