import type { ParallelPlan } from "./parallel-plans.js";

/** How the devices of a set are linked. */
export interface DeviceLinks {
  /** Devices of one machine; the set is whole machines. */
  perNode: number;
  /** Devices that one reaches over the fast link (NVLink, xGMI ...), itself included; 1 where there is none. */
  fastDomain: number;
}

/**
 * The splits of a set that its links allow, best first. Devices that share every layer talk to each other several times
 * a layer, stages once a token: groups stay inside one machine, and splits whose groups stay inside the fast domain come
 * first, the widest before all. Beyond it stages come before width.
 *
 * Source: vLLM documentation, parallelism and scaling (tensor parallel inside a node, pipeline parallel across nodes and
 * where GPUs have no NVLink).
 *
 * @param plans - legal splits over the same number of devices, the widest first (`legalPlans`).
 */
export function preferFastLinks(plans: readonly ParallelPlan[], links: DeviceLinks): ParallelPlan[] {
  const { perNode, fastDomain } = links;
  const inside = plans.filter(({ tensorParallel }) => staysWithin(tensorParallel, perNode));
  const fast = inside.filter(({ tensorParallel }) => staysWithin(tensorParallel, Math.min(fastDomain, perNode)));
  const slow = inside.filter((plan) => !fast.includes(plan));
  return [...fast, ...slow.sort((a, b) => a.tensorParallel - b.tensorParallel)];
}

/** Groups are neighbours in rank order, so they stay inside when they divide what they are to stay inside of. */
function staysWithin(groupSize: number, domain: number): boolean {
  return groupSize <= domain && domain % groupSize === 0;
}
