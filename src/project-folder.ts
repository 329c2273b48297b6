import { fileURLToPath } from "node:url";

/**
 * The project's folder, for the files that are read while it runs. This file stays at the top of src/, as deep as the
 * compiled dist/main.js, so that both find it.
 */
export const PROJECT_FOLDER = fileURLToPath(new URL("..", import.meta.url));
