// A search in a process that has done nothing else: asked by the benchmark, answers in JSON.
import { firstSearch } from "./cases.js";
import { loadCatalogue } from "./catalogues.js";

const [setup, prepared] = process.argv.slice(2);
console.log(JSON.stringify(firstSearch(await loadCatalogue(), Number(setup), prepared === "true")));
