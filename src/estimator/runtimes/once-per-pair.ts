export { oncePerPair } from "../once-for.js";
