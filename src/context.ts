import type { Catalogue } from "./data/catalogue.js";
import { beginOperation, type Operation } from "./operation.js";
import type { Viewer } from "./services/access/viewer.js";
import type { Backend } from "./services/backend.js";
import { type Services, servicesFor } from "./services/services.js";

/** What decides how an operation is treated before it runs. */
export interface OperationMeasure {
  /** Units of work; see `measureQuery`. */
  cost: number;
  isMutation: boolean;
}

/** The work that answers one request. */
export interface Work {
  /** Aborted when nobody waits for the answer any more: the client is gone, or it takes too long. */
  readonly signal: AbortSignal;
  /** It computes for so long that it must let others in now and then. */
  readonly isHeavy: boolean;
  /**
   * Waits until the operation may begin.
   * @throws GraphQLError when the client has used up its allowance, or too many operations wait
   */
  admit(operation: OperationMeasure): Promise<void>;
}

/** Work without bounds. */
const unboundedWork = (): Work => ({ signal: new AbortController().signal, isHeavy: false, admit: async () => {} });

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
  readonly work: Work;
  /** The account of this operation. */
  readonly operation: Operation;
  /**
   * Who is asking, found out when somebody wants to know: reads need no database.
   * @throws ApiError UNAUTHENTICATED for a token that does not hold
   */
  readonly viewer: () => Promise<Viewer>;
  /** The stream that answers a subscription; null for everything else. */
  readonly stream: OperationStream | null;
  /** Has the rest of the request work on another version: the one that its own edit made. */
  show(catalogue: Catalogue): void;
}

/** What a subscription and the stream that answers it tell each other. */
export interface OperationStream {
  /** Aborted when nobody listens any more. */
  readonly signal: AbortSignal;
  /** The change that the client has seen last, when it comes back. */
  readonly afterChange: number | null;
  /** The last change of the event that was made last. */
  position: number | null;
}

export interface ContextOptions {
  catalogue: Catalogue;
  backend: Backend;
  requestId: string;
  /** The request's `Authorization` header. */
  authorization: string | undefined;
  /** Where the request comes from. */
  address: string;
  /** Without bounds if absent. */
  work?: Work;
  /** One that nobody reads if absent. */
  operation?: Operation;
  stream?: OperationStream | null;
  /** Told when the answer depends on more than the catalogue: on who asks, on the database, on the time. */
  onOwn?: () => void;
}

/** Makes the context of one request. */
export function createContext(options: ContextOptions): Context {
  return new RequestContext(options);
}

/** A class, since Apollo works on a copy: getters and methods of the prototype go with it. */
class RequestContext implements Context {
  readonly requestId: string;
  readonly work: Work;
  readonly operation: Operation;
  readonly viewer: () => Promise<Viewer>;
  readonly stream: OperationStream | null;
  private readonly came = new Date();
  private readonly store: Backend;
  private readonly onOwn: () => void;
  private shown: Catalogue;

  constructor(options: ContextOptions) {
    const { catalogue, backend, requestId, authorization, address, work = unboundedWork(), onOwn = () => {} } = options;
    this.shown = catalogue;
    this.store = backend;
    this.requestId = requestId;
    this.work = work;
    this.operation = options.operation ?? beginOperation(requestId);
    this.stream = options.stream ?? null;
    this.onOwn = onOwn;
    let viewer: Promise<Viewer> | undefined;
    this.viewer = () => {
      onOwn();
      viewer ??= backend.access.identify(authorization, address);
      return viewer;
    };
  }

  get now(): Date {
    this.onOwn();
    return this.came;
  }

  get backend(): Backend {
    this.onOwn();
    return this.store;
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
