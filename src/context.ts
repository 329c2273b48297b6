import type { Catalogue } from "./data/catalogue.js";
import type { Viewer } from "./services/access/viewer.js";
import type { Backend } from "./services/backend.js";
import { type Services, servicesFor } from "./services/services.js";

/** What the resolvers of one request share: one version of the catalogue, and the services over it. */
export interface Context {
  readonly catalogue: Catalogue;
  readonly services: Services;
  /** When the request came: what ages does so from here. */
  readonly now: Date;
  /** What needs the database. */
  readonly backend: Backend;
  /** Names the request in the log, in the history and in its answer's header. */
  readonly requestId: string;
  /**
   * Who is asking, found out when somebody wants to know: reads need no database.
   * @throws ApiError UNAUTHENTICATED for a token that does not hold
   */
  readonly viewer: () => Promise<Viewer>;
  /** Has the rest of the request work on another version: the one that its own edit made. */
  show(catalogue: Catalogue): void;
}

export interface ContextOptions {
  catalogue: Catalogue;
  backend: Backend;
  requestId: string;
  /** The request's `Authorization` header. */
  authorization: string | undefined;
  /** Where the request comes from. */
  address: string;
}

/** Makes the context of one request. */
export function createContext(options: ContextOptions): Context {
  return new RequestContext(options);
}

/** A class, since Apollo works on a copy: getters and methods of the prototype go with it. */
class RequestContext implements Context {
  readonly now = new Date();
  readonly backend: Backend;
  readonly requestId: string;
  readonly viewer: () => Promise<Viewer>;
  private shown: Catalogue;

  constructor({ catalogue, backend, requestId, authorization, address }: ContextOptions) {
    this.shown = catalogue;
    this.backend = backend;
    this.requestId = requestId;
    let viewer: Promise<Viewer> | undefined;
    this.viewer = () => {
      viewer ??= backend.access.identify(authorization, address);
      return viewer;
    };
  }

  get catalogue(): Catalogue {
    return this.shown;
  }

  get services(): Services {
    return servicesFor(this.shown);
  }

  show(catalogue: Catalogue): void {
    this.shown = catalogue;
  }
}
