import { UNSTORABLE } from "../catalogue/rules/check-row.js";
import { name as nameRule } from "../catalogue/rules/fields.js";
import type { UserError } from "../editing/user-error.js";
import type { Role } from "./viewer.js";

/** A token that is asked for. */
export interface TokenInput {
  name: string;
  role: Role;
  /** After 90 days if absent. */
  expiresAt?: Date | null | undefined;
}

const DAY_MS = 86_400_000;
const DEFAULT_LIFE_DAYS = 90;
/** Longer ones are forgotten about before they end. */
const MAX_LIFE_DAYS = 366;

/** Checks a token that is asked for: everything that is wrong with it, and its values with defaults. */
export function checkTokenInput(
  input: TokenInput,
  now: Date,
): Required<TokenInput> & { expiresAt: Date; problems: UserError[] } {
  const problems: UserError[] = [];
  const checked = nameRule.safeParse(input.name);
  for (const { message } of checked.error?.issues ?? []) {
    problems.push({ code: "INVALID", field: ["input", "name"], message: `name ${message}.` });
  }
  if (checked.success && UNSTORABLE.test(input.name)) {
    problems.push({
      code: "INVALID",
      field: ["input", "name"],
      message: "name must not have half a surrogate pair in it.",
    });
  }
  const expiresAt = input.expiresAt ?? new Date(now.getTime() + DEFAULT_LIFE_DAYS * DAY_MS);
  const lifeDays = (expiresAt.getTime() - now.getTime()) / DAY_MS;
  if (lifeDays <= 0 || lifeDays > MAX_LIFE_DAYS) {
    const message = `expiresAt must be in the future, ${MAX_LIFE_DAYS} days at most.`;
    problems.push({ code: "INVALID", field: ["input", "expiresAt"], message });
  }
  return { name: input.name, role: input.role, expiresAt, problems };
}
