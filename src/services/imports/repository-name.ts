/** A repository on Hugging Face: owner and name, 96 characters each at most, neither beginning with a dot or hyphen. */
const REPOSITORY_NAME = /^(?!.*(?:\.\.|--))[A-Za-z0-9_][\w.-]{0,95}\/[A-Za-z0-9_][\w.-]{0,95}$/;

/** Whether a text can name a repository: "owner/name" of letters, digits, dots, hyphens and underscores, nothing else. */
export function isRepositoryName(text: string): boolean {
  return REPOSITORY_NAME.test(text) && !/\.(git|ipynb)$/.test(text);
}

/** "owner" of "owner/name". */
export function ownerOf(repo: string): string {
  return repo.split("/")[0] ?? repo;
}

/** A slug that the name of a repository suggests: without Meta's prefix and without "-BF16". */
export function slugOfRepo(repo: string): string {
  return slugOfName(nameOf(repo))
    .replace(/^meta-llama-/, "llama-")
    .replace(/-bf16$/, "");
}

/** A name in lower case, runs of other characters as one hyphen. */
export function slugOfName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "");
}

/** "Llama 3.1 8B Instruct" for "meta-llama/Llama-3.1-8B-Instruct". */
export function titleOfRepo(repo: string): string {
  return nameOf(repo)
    .replace(/^Meta-Llama-/, "Llama-")
    .replaceAll(/[-_]+/g, " ")
    .trim();
}

function nameOf(repo: string): string {
  return repo.split("/").at(-1) ?? repo;
}
