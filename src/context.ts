import type { Catalogue } from "./data/catalogue.js";
import { type Services, servicesFor } from "./services/services.js";

/** What the resolvers of one request share: one version of the catalogue, and the services over it. */
export interface Context {
  readonly catalogue: Catalogue;
  readonly services: Services;
}

/** Makes the context of one request. */
export function createContext(catalogue: Catalogue): Context {
  return { catalogue, services: servicesFor(catalogue) };
}
