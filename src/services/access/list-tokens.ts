import { requireSearch } from "../catalogue/list.js";
import { compileSearch } from "../catalogue/search.js";
import { type Connection, type PageArguments, paginate } from "../connections/connection.js";
import type { ApiTokenModel } from "./access.js";

/** Arguments of the list of tokens. */
export interface TokenListArguments extends PageArguments {
  filter?: { search?: string | null | undefined; includeEnded: boolean } | null | undefined;
}

/** One page of the tokens that a filter lets through, by name. */
export function listTokens(
  tokens: readonly ApiTokenModel[],
  args: TokenListArguments,
  now: Date = new Date(),
): Connection<ApiTokenModel> {
  const { search, includeEnded = false } = args.filter ?? {};
  const matches = search == null ? () => true : compileSearch(requireSearch(search));
  const isInUse = ({ revokedAt, expiresAt }: ApiTokenModel) => revokedAt === null && expiresAt > now;
  const matching = tokens.filter((token) => (includeEnded || isInUse(token)) && matches([token.name]));
  const keys = [{ field: "NAME", direction: "ASC" as const, read: ({ name }: ApiTokenModel) => name.toLowerCase() }];
  return paginate(matching, { list: "apiTokens", keys, idOf: ({ id }) => id }, args);
}
