import type { Database } from "../data/database.js";
import type { CatalogueSource } from "../data/snapshot.js";
import { type AccessService, createAccessService } from "./access/access.js";
import type { SignInProvider } from "./access/sign-in-provider.js";
import { type AuditService, createAuditService } from "./audit/audit.js";
import { createFollowService, type FollowService } from "./audit/follow.js";
import { createEditingService, type EditingService } from "./editing/editing.js";
import type { Hub } from "./imports/hub/read-repository.js";
import { createImportService, type ImportService } from "./imports/imports.js";

/** What a server does that needs the database while it answers. */
export interface Backend {
  editing: EditingService;
  imports: ImportService;
  audit: AuditService;
  access: AccessService;
  follow: FollowService;
}

export interface BackendOptions {
  database: Database;
  catalogue: CatalogueSource;
  /** Token of the first administrator; null when there is none. */
  adminToken: string | null;
  /** Whose tokens are taken beside the server's own; null or absent: nobody's. */
  signIn?: SignInProvider | null;
  /** The hub that models are imported from; null or absent: none may be contacted. */
  hub?: Hub | null;
}

/** Builds what needs the database. */
export function createBackend(options: BackendOptions): Backend {
  const { database, catalogue, adminToken, signIn = null, hub = null } = options;
  const editing = createEditingService(database, catalogue);
  return {
    editing,
    imports: createImportService(editing, hub),
    audit: createAuditService(database),
    access: createAccessService({ database, adminToken, signIn }),
    follow: createFollowService(database, catalogue),
  };
}
