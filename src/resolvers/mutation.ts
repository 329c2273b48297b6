import type { Context } from "../context.js";
import { decodeChangeId, encodeGlobalId, type NodeType } from "../services/catalogue/global-ids.js";
import { importDocument } from "../services/catalogue-files/import-catalogue.js";
import type { EditOptions, EditOutcome } from "../services/editing/editing.js";
import { EDIT_FORMS, type EditForm } from "../services/editing/forms.js";
import {
  type Planner,
  planArchive,
  planCreate,
  planDelete,
  planRestore,
  planUpdate,
  planUpsert,
} from "../services/editing/plan.js";
import type { ApiInput } from "../services/editing/read-input.js";
import { planRevert } from "../services/editing/revert.js";
import { toImportPayload } from "./catalog-files.js";
import { toImportFindings } from "./import-findings.js";
import type { MutationResolvers } from "./types.generated.js";

/** Arguments that every edit has. */
interface EditArguments {
  comment?: string | null | undefined;
  dryRun: boolean;
}

type Identified = EditArguments & { id: string; expectedVersion: number };

async function optionsOf({ comment, dryRun }: EditArguments, context: Context): Promise<EditOptions> {
  return { actor: await context.viewer(), requestId: context.requestId, comment, dryRun };
}

async function edit(
  plan: Planner,
  args: EditArguments,
  context: Context,
  revertedChangeId?: number,
): Promise<EditOutcome> {
  const outcome = await context.backend.editing.edit(plan, {
    ...(await optionsOf(args, context)),
    ...(revertedChangeId === undefined ? {} : { revertedChangeId }),
  });
  // What the payload leads to is as the edit left it.
  context.show(outcome.catalogue);
  return outcome;
}

/** What every payload has. */
function common({ diffs, problems, catalogue }: EditOutcome) {
  return { diffs, userErrors: problems, catalogVersion: catalogue.version };
}

/** The mutations of one entity: payloads have its row or rows under its own name. */
function mutationsOf(form: EditForm) {
  const { type } = form;
  const one = `${type.charAt(0).toLowerCase()}${type.slice(1)}`;
  const toOne = (outcome: EditOutcome) => ({ [one]: outcome.rows[0] ?? null, ...common(outcome) });
  const toMany = (outcome: EditOutcome) => ({ [`${one}s`]: outcome.rows, ...common(outcome) });
  const toDeleted = (outcome: EditOutcome) => {
    const removed = outcome.diffs.find(({ change }) => change !== null);
    return { deletedId: removed === undefined ? null : encodeGlobalId(type, removed.rowId), ...common(outcome) };
  };
  return {
    [`create${type}`]: async (_: unknown, args: EditArguments & { input: ApiInput }, context: Context) =>
      toOne(await edit(planCreate(form, args.input), args, context)),
    [`update${type}`]: async (_: unknown, args: Identified & { input: ApiInput }, context: Context) =>
      toOne(await edit(planUpdate(form, args.id, args.input, args.expectedVersion), args, context)),
    [`archive${type}`]: async (_: unknown, args: Identified, context: Context) =>
      toOne(await edit(planArchive(form, args.id, args.expectedVersion), args, context)),
    [`restore${type}`]: async (_: unknown, args: Identified, context: Context) =>
      toOne(await edit(planRestore(form, args.id, args.expectedVersion), args, context)),
    [`delete${type}`]: async (_: unknown, args: Identified, context: Context) =>
      toDeleted(await edit(planDelete(form, args.id, args.expectedVersion), args, context)),
    [`upsert${type}s`]: async (_: unknown, args: EditArguments & { inputs: readonly ApiInput[] }, context: Context) =>
      toMany(await edit(planUpsert(form, args.inputs), args, context)),
  };
}

const NO_SUCH_CHANGE = { code: "NOT_FOUND", field: ["id"], message: "There is no change of this id." } as const;
const NO_SUCH_TOKEN = { code: "NOT_FOUND", field: ["id"], message: "There is no token of this id." } as const;

const ownMutations = {
  async revertCatalogChange(_, args, context) {
    const id = decodeChangeId(args.id);
    const change = id === null ? null : await context.backend.audit.find(id);
    if (change === null) {
      return { node: null, diffs: [], userErrors: [NO_SUCH_CHANGE], catalogVersion: context.catalogue.version };
    }
    const outcome = await edit(planRevert(change), args, context, change.id);
    return { node: (outcome.rows[0] as never) ?? null, ...common(outcome) };
  },
  async importModel(_, { input, ...args }, context) {
    const { outcome, findings } = await context.backend.imports.importModel(input, await optionsOf(args, context));
    context.show(outcome.catalogue);
    const found = findings === null ? null : toImportFindings(findings, outcome.catalogue);
    const modelFiles =
      outcome.problems.length > 0 ? [] : (found?.files.flatMap(({ modelFile }) => modelFile ?? []) ?? []);
    return { model: (outcome.rows[0] as never) ?? null, modelFiles, found, ...common(outcome) };
  },
  async importCatalog(_, { catalog, prune, expectedCatalogVersion, ...args }, context) {
    const options = {
      ...(await optionsOf(args, context)),
      prune,
      expectedCatalogVersion: expectedCatalogVersion ?? null,
    };
    const target = { editing: context.backend.editing, catalogue: context.catalogue };
    const outcome = await importDocument(catalog, target, options);
    context.show(outcome.catalogue);
    return toImportPayload(outcome);
  },
  async createApiToken(_, { input }, { backend, viewer }) {
    const { text, token, problems } = await backend.access.createToken(input, await viewer());
    return { token: text, apiToken: token, userErrors: problems };
  },
  async revokeApiToken(_, { id }, { backend, viewer }) {
    const token = await backend.access.revokeToken(id, await viewer());
    return { apiToken: token, userErrors: token === null ? [NO_SUCH_TOKEN] : [] };
  },
} satisfies MutationResolvers;

/** One set of mutations for every entity, and those that are not about one. */
export const Mutation: MutationResolvers = {
  ...Object.assign({}, ...(Object.keys(EDIT_FORMS) as NodeType[]).map((type) => mutationsOf(EDIT_FORMS[type]))),
  ...ownMutations,
};
