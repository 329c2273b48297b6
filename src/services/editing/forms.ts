import { type NodeType, nodeTables } from "../catalogue/global-ids.js";
import { ENTITIES, type EntityName, type EntityRules } from "../catalogue/rules/entities.js";

/** How the API names an entity and its fields when they are edited. */
export interface EditForm {
  /** The schema's type. */
  type: NodeType;
  rules: EntityRules;
  /** The API's names of fields that the rules name differently. */
  renamed: Readonly<Record<string, string>>;
  /** Where the slug stands within a reference: the API's are objects, those of files are the slug itself. */
  referencePath: readonly string[];
}

/** The API shows these under the names that it reads them by; the rules have the columns' names, with their units. */
const RENAMED: Partial<Record<NodeType, Readonly<Record<string, string>>>> = {
  Gpu: {
    class: "gpuClass",
    memoryGib: "memoryNominalGib",
    visibleMemoryMib: "memoryVisibleMib",
    visibleMemoryBasis: "memoryVisibleBasis",
    usableMemoryMib: "memoryUsableMib",
    usableMemoryBasis: "memoryUsableBasis",
    bandwidth: "bandwidthGbPerSecond",
    interconnectBandwidth: "interconnectGbPerSecond",
  },
  Measurement: { context: "contextTokens" },
};

/** The form of every entity. */
export const EDIT_FORMS: Readonly<Record<NodeType, EditForm>> = Object.fromEntries(
  (Object.keys(nodeTables) as NodeType[]).map((type) => [type, createForm(type)]),
) as Record<NodeType, EditForm>;

/** The form of every entity in files of the catalogue, which have the rules' own names. */
export const FILE_FORMS: ReadonlyMap<EntityName, EditForm> = new Map(
  Object.values(EDIT_FORMS).map((form) => [form.rules.entity, { ...form, renamed: {}, referencePath: [] }]),
);

function createForm(type: NodeType): EditForm {
  return { type, rules: rulesOf(type), renamed: RENAMED[type] ?? {}, referencePath: ["slug"] };
}

function rulesOf(type: NodeType): EntityRules {
  const rules = ENTITIES.find(({ entity }) => entity === nodeTables[type]);
  if (rules === undefined) throw new Error(`no rules for ${type}`);
  return rules;
}

/** The rules' name of a field of the API. */
export function ruleFieldOf({ renamed }: EditForm, apiField: string): string {
  return renamed[apiField] ?? apiField;
}

/** The API's name of a field of the rules. */
export function apiFieldOf({ renamed }: EditForm, ruleField: string): string {
  return Object.keys(renamed).find((apiField) => renamed[apiField] === ruleField) ?? ruleField;
}
