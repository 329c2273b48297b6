// Looks through the packages that the server is run with: their licences, a bill of materials (SBOM), and what the
// registry knows against them. `--write` writes docs/licences.md anew; without it the file must be up to date.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

/** Licences that ask for nothing but their own text to be kept. */
const ALLOWED = new Set(["MIT", "ISC", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "BlueOak-1.0.0"]);
const LICENCES_FILE = "docs/licences.md";
const EXCEPTIONS_FILE = "scripts/audit-exceptions.json";
const SBOM_FILE = "dist/sbom.cdx.json";
/** Advisories below these do not fail the check. */
const SERIOUS = new Set(["high", "critical"]);
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

const problems = [];
checkLicences();
checkSbom();
checkAdvisories();
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);

/** Every package of the lock file that a production install has, or may have on another machine. */
function readPackages() {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
  return Object.entries(packages)
    .filter(([path, entry]) => path !== "" && !entry.dev && !entry.devOptional && !entry.link)
    .map(([path, entry]) => ({
      name: entry.name ?? path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
      version: entry.version,
      licence: entry.license ?? readInstalledLicence(path),
    }));
}

/** What the installed package says, where the lock file does not. */
function readInstalledLicence(path) {
  try {
    return JSON.parse(readFileSync(`${path}/package.json`, "utf8")).license ?? null;
  } catch {
    return null;
  }
}

/** Of `A OR B` one must be allowed, of `A AND B` all. */
function isAllowed(licence) {
  const bare = licence.replace(/^\((.*)\)$/, "$1");
  if (bare.includes(" AND ")) return bare.split(" AND ").every(isAllowed);
  if (bare.includes(" OR ")) return bare.split(" OR ").some(isAllowed);
  return ALLOWED.has(bare);
}

function checkLicences() {
  const packages = readPackages();
  for (const { name, version, licence } of packages) {
    if (typeof licence !== "string" || !isAllowed(licence)) {
      problems.push(`${name} ${version} has the licence ${JSON.stringify(licence)}, which is not among those allowed.`);
    }
  }
  const lines = [...new Set(packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`))];
  const text = `# Licences\n\nPackages that the server is run with, by the lock file: ${lines.length}. Written by \`npm run dependencies -- --write\`.\n\n| Package | Version | Licence |\n|---|---|---|\n${lines.sort().join("\n")}\n`;
  if (process.argv.includes("--write")) writeFileSync(LICENCES_FILE, text);
  else if (readText(LICENCES_FILE) !== text) {
    problems.push(`${LICENCES_FILE} is not up to date: run npm run dependencies -- --write and commit it.`);
  }
  console.log(`licences: ${lines.length} packages looked at`);
}

function readText(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function npm(...args) {
  const { stdout, stderr } = spawnSync("npm", args, { encoding: "utf8", maxBuffer: MAX_OUTPUT_BYTES });
  try {
    return { answer: JSON.parse(stdout), stderr };
  } catch {
    return { answer: null, stderr };
  }
}

/**
 * A bill of materials in CycloneDX, written beside the build. Nothing is asked of the network. With `--omit dev`, npm
 * would also leave out what development needs as well, such as graphql: what is for development only is left out here.
 */
function checkSbom() {
  const { answer, stderr } = npm("sbom", "--package-lock-only", "--sbom-format", "cyclonedx");
  if (answer?.bomFormat !== "CycloneDX") {
    problems.push(`npm sbom gave no bill of materials: ${stderr}`);
    return;
  }
  const wanted = new Set(readPackages().map(({ name, version }) => `${name}@${version}`));
  const components = answer.components.filter((component) => wanted.has(component["bom-ref"]));
  const kept = new Set([...components.map((component) => component["bom-ref"]), answer.metadata.component["bom-ref"]]);
  answer.components = components;
  answer.dependencies = answer.dependencies
    .filter(({ ref }) => kept.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }));
  const missing = [...wanted].filter((name) => !kept.has(name));
  if (missing.length > 0) problems.push(`npm sbom leaves out ${missing.join(", ")}.`);
  mkdirSync("dist", { recursive: true });
  writeFileSync(SBOM_FILE, `${JSON.stringify(answer, null, 2)}\n`);
  console.log(`SBOM: ${components.length} components in ${SBOM_FILE}`);
}

/** What the registry knows against the packages; those that do not answer such questions do not fail the check. */
function checkAdvisories() {
  const { answer, stderr } = npm("audit", "--omit", "dev", "--json");
  if (answer?.vulnerabilities === undefined) {
    const reason = answer?.message ?? answer?.error?.summary ?? stderr.trim().split("\n").at(-1);
    console.log(`advisories: the registry could not be asked (${reason})`);
    return;
  }
  const exceptions = JSON.parse(readFileSync(EXCEPTIONS_FILE, "utf8"));
  const advisories = Object.values(answer.vulnerabilities)
    .flatMap(({ via }) => via)
    .filter((via) => typeof via === "object" && SERIOUS.has(via.severity));
  for (const { url, name, title, severity } of advisories) {
    if (Object.hasOwn(exceptions, url)) console.log(`advisories: ${url} is excepted: ${exceptions[url]}`);
    else problems.push(`${name}: ${severity}: ${title} (${url}). Update it, or explain it in ${EXCEPTIONS_FILE}.`);
  }
  console.log(`advisories: ${advisories.length} serious ones`);
}
