import { ByteSize } from "./byte-size.js";
import { CatalogChange, CatalogChangeConnection, RowDiff } from "./catalog-change.js";
import { Estimate, EstimateOutcome } from "./estimate.js";
import { Gpu } from "./gpu.js";
import { HardwareFit, HardwareFitConnection } from "./hardware.js";
import { KvCacheType } from "./kv-cache-type.js";
import { Measurement } from "./measurement.js";
import { Model } from "./model.js";
import { ModelFile } from "./model-file.js";
import { Mutation } from "./mutation.js";
import { Node } from "./node.js";
import { QuantFormat } from "./quant-format.js";
import { Query } from "./query.js";
import { Runnable, RunnableConnection } from "./runnable.js";
import { Runtime } from "./runtime.js";
import { DateTime, JsonValue, SafeInt } from "./scalars.js";
import { Scenario } from "./scenario.js";
import { CatalogUpdateChange, Subscription } from "./subscription.js";
import { System } from "./system.js";
import type { Resolvers } from "./types.generated.js";

/** Every resolver that is more than a property of the same name. */
export const resolvers: Resolvers = {
  ByteSize,
  CatalogChange,
  CatalogChangeConnection,
  CatalogUpdateChange,
  DateTime,
  Estimate,
  EstimateOutcome,
  Gpu,
  HardwareFit,
  HardwareFitConnection,
  JSON: JsonValue,
  KvCacheType,
  Measurement,
  Model,
  ModelFile,
  Mutation,
  Node,
  QuantFormat,
  Query,
  RowDiff,
  Runnable,
  RunnableConnection,
  Runtime,
  SafeInt,
  Scenario,
  Subscription,
  System,
};
