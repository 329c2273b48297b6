import type { DrawnDocument } from "./documents.js";
import type { Random } from "./random.js";
import { ODD_TEXTS, PROTOTYPE_NAMES } from "./values.js";

/** A request as it is sent. */
export interface DrawnRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

const times = (count: number, part: (index: number) => string, separator = " ") =>
  Array.from({ length: count }, (_, index) => part(index)).join(separator);

const sizes = [2, 20, 119, 300, 10_000];

const documents: readonly ((random: Random) => string)[] = [
  (random) => `{ ${times(random.pick(sizes), (index) => `a${index}: catalogVersion`)} }`,
  (random) => `{ ${times(random.pick([2, 20, 119]), (index) => `a${index}: estimates(inputs: []) { __typename }`)} }`,
  (random) => {
    const depth = random.pick(sizes);
    return `{ models(first: 1) ${times(depth, () => "{ nodes { files { nodes { model", "")}${"}".repeat(depth)}`;
  },
  (random) => `${"{ a ".repeat(random.pick(sizes))}`,
  () => "{ ...A } fragment A on Query { ...A }",
  () => "{ ...A } fragment A on Query { ...B } fragment B on Query { ... on Query { ...A } }",
  (random) => {
    const count = random.pick([5, 30, 200]);
    return `{ ...F0 } ${times(count, (index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`)} fragment F${count} on Query { catalogVersion }`;
  },
  (random) => `{ model(slug: "${"x".repeat(random.pick([10_000, 1_000_000]))}") { slug } }`,
  (random) => `{ models(first: ${"9".repeat(random.pick([20, 400, 100_000]))}) { totalCount } }`,
  () => "{ models(filter: { parameters: { gte: 1e400 } }) { totalCount } }",
  (random) => {
    const depth = random.pick([50, 300, 2_000, 20_000]);
    return `mutation { importCatalog(dryRun: true, catalog: ${"[".repeat(depth)}${"]".repeat(depth)}) { __typename } }`;
  },
  (random) => {
    const depth = random.pick([50, 300, 1_000]);
    return `mutation { importCatalog(dryRun: true, catalog: ${"{a: ".repeat(depth)}1${"}".repeat(depth)}) { __typename } }`;
  },
  (random) =>
    `query ($a: ${"[".repeat(1_000)}Int${"]".repeat(1_000)}) { catalogVersion @skip(if: ${random.pick(["$a", "1", "null"])}) }`,
  (random) => `{ ${random.pick(PROTOTYPE_NAMES)} }`,
  (random) => `{ ${random.pick(PROTOTYPE_NAMES)}: catalogVersion }`,
  (random) => `{ ...${random.pick(PROTOTYPE_NAMES)} }`,
  (random) =>
    `query ($${random.pick(PROTOTYPE_NAMES)}: Int) { models(first: $${random.pick(PROTOTYPE_NAMES)}) { totalCount } }`,
  (random) => `query ${random.pick(PROTOTYPE_NAMES)} { catalogVersion }`,
  (random) => `{ model(${random.pick(PROTOTYPE_NAMES)}: 1, slug: "x") { slug } }`,
  (random) => `{ models(filter: { ${random.pick(PROTOTYPE_NAMES)}: { eq: 1 } }) { totalCount } }`,
  (random) => `{ models(sort: { field: ${random.pick(PROTOTYPE_NAMES)} }) { totalCount } }`,
  (random) => `{ fragment ${random.pick(PROTOTYPE_NAMES)} on ${random.pick(PROTOTYPE_NAMES)} { a } }`,
  (random) => `{ catalogVersion ${times(random.pick(sizes), () => "@skip(if: false)")} }`,
  (random) => `{ catalogVersion ${times(random.pick(sizes), (index) => `@no${index}`)} }`,
  () => "subscription { catalogVersion }",
  () => "query A { catalogVersion } query A { catalogVersion }",
  () => "{ catalogVersion } { catalogVersion }",
  () => "type Query { a: Int }",
  () => "extend schema @auth(requires: ADMIN) { query: Query }",
  (random) =>
    `{ __schema { types { fields { type { ${"ofType { ".repeat(random.pick([3, 12, 500]))} name${"}".repeat(600)}`,
  (random) => `{ __type(name: "${random.pick(PROTOTYPE_NAMES)}") { name fields { name } } }`,
  (random) => `{ ${"a".repeat(random.pick([1_000, 200_000]))} }`,
  (random) => `{ node(id: ${JSON.stringify(random.pick(ODD_TEXTS))}) { id } }`,
  (random) =>
    `{ models(after: ${JSON.stringify(random.pick(ODD_TEXTS))}, filter: { search: ${JSON.stringify(random.pick(ODD_TEXTS))} }) { totalCount } }`,
  (random) => `{ model(slug: """${"\n  x".repeat(random.pick(sizes))}""") { slug } }`,
  () => '{ model(slug: "\\uD800") { slug } }',
  () => '{ model(slug: "\\u{110000}") { slug } }',
  () => "\ufeff#\u2028\n{ catalogVersion }",
  () => "{ catalog\0Version }",
  () => "",
  () => "#",
  (random) => random.pick(ODD_TEXTS),
];

/** A document that no honest client sends. */
export function drawHostileDocument(random: Random): DrawnDocument {
  return { query: random.pick(documents)(random), variables: "{}" };
}

/** A sound document with something cut out, doubled or put in. */
export function damage(random: Random, { query, variables }: DrawnDocument): DrawnDocument {
  const at = random.below(query.length);
  const end = at + random.below(20);
  const inserted = random.pick([
    "",
    "{",
    "}",
    "(",
    "$",
    "...",
    '"',
    '"""',
    "\\",
    "\ud800",
    "@",
    "!",
    "[",
    query.slice(at, end + 40),
  ]);
  return { query: query.slice(0, at) + inserted + query.slice(end), variables };
}

const QUERY = "{ catalogVersion }";
const quoted = JSON.stringify(QUERY);
const json = { "content-type": "application/json" };
const HASH = "a".repeat(64);

const oddJson = [
  "null",
  "1",
  '"x"',
  "[]",
  "[1]",
  "{}",
  "true",
  "1e400",
  '{"__proto__":1}',
  '{"constructor":{"name":1}}',
  '"\\ud800"',
];

const bodies: readonly ((random: Random) => string | Buffer)[] = [
  (random) => random.pick(["", "{", "[", '"', "nul", "\ufeff{}", "{'a':1}", "\0", "undefined", "}{"]),
  (random) => random.pick(oddJson),
  (random) => `{"query":${random.pick(oddJson)}}`,
  (random) => `{"query":${quoted},"variables":${random.pick(oddJson)}}`,
  (random) => `{"query":${quoted},"operationName":${random.pick(oddJson)}}`,
  (random) => `{"query":${quoted},"extensions":${random.pick(oddJson)}}`,
  (random) => `{"query":${quoted},"extensions":{"persistedQuery":${random.pick(oddJson)}}}`,
  (random) =>
    `{"extensions":{"persistedQuery":{"version":${random.pick(["1", ...oddJson])},"sha256Hash":${random.pick([`"${HASH}"`, ...oddJson])}}}}`,
  (random) =>
    `{"query":${quoted},"extensions":{"persistedQuery":{"version":1,"sha256Hash":${random.pick([`"${HASH}"`, ...oddJson])}}}}`,
  (random) => `{"query":${quoted},"extensions":{"minCatalogVersion":${random.pick(oddJson)}}}`,
  () => `{"query":"{ nope }","query":${quoted}}`,
  () => `{"__proto__":{"query":${quoted}},"constructor":{"query":${quoted}}}`,
  () => `[{"query":${quoted}},{"query":${quoted}}]`,
  (random) => "[".repeat(random.pick([100, 10_000, 200_000])),
  (random) => {
    const depth = random.pick([100, 3_000, 50_000]);
    return `{"query":"query ($c: JSON!) { __typename }","variables":{"c":${"[".repeat(depth)}${"]".repeat(depth)}}}`;
  },
  (random) => {
    const depth = random.pick([90, 3_000, 50_000]);
    const value = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
    return `{"query":"mutation ($c: JSON!) { importCatalog(dryRun: true, catalog: $c) { __typename } }","variables":{"c":${value}}}`;
  },
  (random) => {
    const many = times(random.pick([100, 20_000]), (index) => `"k${index}":${index}`, ",");
    return `{"query":${quoted},"variables":{${many}}}`;
  },
  (random) =>
    `{"query":"query ($i: ID!) { node(id: $i) { id } }","variables":{"i":${JSON.stringify(random.pick(ODD_TEXTS))}}}`,
  () => Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]),
];

const searches = [
  "",
  "?",
  "?query=%",
  "?query=%00",
  "?query=%ff%fe",
  "?query[]=a&query[__proto__]=b",
  `?query=${encodeURIComponent(QUERY)}&query=${encodeURIComponent(QUERY)}`,
  `?query=${encodeURIComponent(QUERY)}&variables=%7B`,
  `?query=${encodeURIComponent(QUERY)}&variables=%5B%5D&operationName=`,
  `?query=${encodeURIComponent(QUERY)}&extensions=null`,
  `?query=${encodeURIComponent(QUERY)}&extensions=%7B%22persistedQuery%22%3A1%7D`,
  `?extensions=${encodeURIComponent(`{"persistedQuery":{"version":1,"sha256Hash":{"a":1}}}`)}`,
  `?__proto__[query]=${encodeURIComponent(QUERY)}`,
  `?query=${"%61".repeat(3_000)}`,
  `?query=${encodeURIComponent("mutation { revokeApiToken(id: 1) { __typename } }")}`,
];

const headerSets: readonly Record<string, string>[] = [
  {},
  {},
  { "apollo-require-preflight": "1" },
  { "content-type": "text/plain" },
  { "content-type": "application/json; charset=utf-16" },
  { "content-type": "multipart/form-data; boundary=a" },
  { "content-type": ";;;" },
  { "content-encoding": "gzip" },
  { accept: "multipart/mixed; deferSpec=20220824" },
  { accept: "image/png;q=0, */*;q=x" },
  { "x-request-id": "a b\tc" },
  { "x-min-catalog-version": "1e99" },
  { "x-query-cost": "__proto__" },
  { origin: "null", "access-control-request-method": "TRACE" },
  { cookie: "__proto__=1", "x-forwarded-for": "::ffff:1, unknown" },
  { "if-none-match": `W/"${"x".repeat(3_000)}` },
];

const paths = [
  "/graphql",
  "/graphql",
  "/graphql/",
  "//graphql",
  "/__proto__",
  "/catalog.json",
  "/healthz",
  "/readyz",
  "/playground/../../etc/passwd",
  "/playground/__proto__",
  "/%",
  "/%00",
];

/** A request that is odd beyond its document. */
export function drawHostileRequest(random: Random): DrawnRequest {
  if (random.chance(0.7)) {
    const headers = random.chance(0.3) ? { ...json, ...random.pick(headerSets) } : json;
    return { method: "POST", path: "/graphql", headers, body: random.pick(bodies)(random) };
  }
  const method = random.pick(["GET", "GET", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"]);
  return { method, path: random.pick(paths) + random.pick(searches), headers: random.pick(headerSets) };
}
