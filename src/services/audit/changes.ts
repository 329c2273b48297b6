import type { ChangeRecord, RowColumns } from "../../data/write-rows.js";
import type { Role } from "../access/viewer.js";
import type { NodeType } from "../catalogue/global-ids.js";
import type { ChangeOperation } from "../editing/plan.js";

/** One edit of one row, as it is recorded. */
export interface ChangeModel extends ChangeRecord {
  id: number;
  entity: NodeType;
  operation: ChangeOperation;
  /** Columns of the row; null when there was, or is, no row. */
  before: RowColumns | null;
  after: RowColumns | null;
  actorRole: Role;
  createdAt: Date;
}
