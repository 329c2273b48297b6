import { type ASTNode, type DocumentNode, Kind, parse, visit } from "graphql";

/**
 * Where in a field's arguments a value of a document stands: names of argument and input fields, list indices.
 * @param node the value, or an input field around it
 * @returns null when the node is not within an argument
 */
export function argumentPathOf(node: ASTNode): string[] | null {
  const document = documentOf(node);
  const offset = node.loc?.start;
  if (document === null || offset === undefined) return null;
  return findArgument(document, (candidate) => candidate.kind === node.kind && candidate.loc?.start === offset);
}

/** Where in a field's arguments a variable is used first; null when it is not. */
export function argumentPathOfVariable(definition: ASTNode, name: string): string[] | null {
  const document = documentOf(definition);
  if (document === null) return null;
  return findArgument(document, (node) => node.kind === Kind.VARIABLE && node.name.value === name);
}

function documentOf(node: ASTNode): DocumentNode | null {
  const text = node.loc?.source.body;
  return text === undefined ? null : parse(text);
}

function findArgument(document: DocumentNode, matches: (node: ASTNode) => boolean): string[] | null {
  let found: string[] | null = null;
  const path: string[] = [];
  visit(document, {
    enter(node, key, parent) {
      const inArgument = path.length > 0 || node.kind === Kind.ARGUMENT;
      const segment = inArgument ? segmentOf(node, key, parent) : null;
      if (segment !== null) path.push(segment);
      if (found === null && inArgument && matches(node)) found = [...path];
      return undefined;
    },
    leave(node, key, parent) {
      if (path.length > 0 && segmentOf(node, key, parent) !== null) path.pop();
      return undefined;
    },
  });
  return found;
}

function segmentOf(
  node: ASTNode,
  key: string | number | undefined,
  parent: ASTNode | readonly ASTNode[] | undefined,
): string | null {
  if (node.kind === Kind.ARGUMENT || node.kind === Kind.OBJECT_FIELD) return node.name.value;
  return typeof key === "number" && isListOfValues(node, parent) ? String(key) : null;
}

/** Items of a list literal; arguments and fields also stand in arrays, but bring a name. */
function isListOfValues(node: ASTNode, parent: ASTNode | readonly ASTNode[] | undefined): boolean {
  return Array.isArray(parent) && node.kind !== Kind.ARGUMENT && node.kind !== Kind.OBJECT_FIELD;
}
