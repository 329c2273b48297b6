/** Licences by the identifiers of model cards, as the catalogue writes them. Others are taken as the card has them. */
const NAMES: Readonly<Record<string, string>> = {
  "apache-2.0": "Apache-2.0",
  mit: "MIT",
  "bsd-3-clause": "BSD-3-Clause",
  "cc-by-4.0": "CC-BY-4.0",
  "cc-by-sa-4.0": "CC-BY-SA-4.0",
  "cc-by-nc-4.0": "CC-BY-NC-4.0",
  "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
  "bigcode-openrail-m": "BigCode OpenRAIL-M",
  gemma: "Gemma Terms of Use",
  llama2: "Llama 2 Community License",
  llama3: "Llama 3 Community License",
  "llama3.1": "Llama 3.1 Community License",
  "llama3.2": "Llama 3.2 Community License",
  "llama3.3": "Llama 3.3 Community License",
  llama4: "Llama 4 Community License",
};

/**
 * The licence that a model card names; null when it names none.
 * @param name what the card calls a licence that is not on the hub's list ("other")
 */
export function licenceOf(identifier: string | null, name: string | null): string | null {
  if (identifier === null || identifier === "unknown") return name;
  if (identifier === "other") return name;
  return Object.hasOwn(NAMES, identifier) ? (NAMES[identifier] ?? null) : identifier;
}
