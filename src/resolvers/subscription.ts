import type { Context } from "../context.js";
import type { CatalogueUpdate } from "../services/audit/follow.js";
import { encodeChangeId, encodeGlobalId, entityNames } from "../services/catalogue/global-ids.js";
import type { CatalogUpdateChangeResolvers, SubscriptionResolvers } from "./types.generated.js";

export const Subscription: SubscriptionResolvers = {
  catalogChanged: {
    subscribe: (_, { entity, row, sinceVersion }, { backend, stream }) => {
      if (stream === null) throw new Error("a subscription without a stream");
      const kinds = entity == null ? null : new Set(entity);
      return backend.follow.follow({
        matches: (change) =>
          (kinds?.has(entityNames[change.entity]) ?? true) &&
          (row == null || encodeGlobalId(change.entity, change.rowId) === row),
        sinceVersion,
        afterChange: stream.afterChange,
        signal: stream.signal,
      }) as never;
    },
    resolve: (update: CatalogueUpdate, _: unknown, { stream }: Context) => {
      if (stream !== null) stream.position = update.lastId;
      return update;
    },
  },
};

export const CatalogUpdateChange: CatalogUpdateChangeResolvers = {
  changeId: ({ id }) => encodeChangeId(id),
  entity: ({ entity }) => entityNames[entity],
  rowId: ({ entity, rowId }) => encodeGlobalId(entity, rowId),
};
