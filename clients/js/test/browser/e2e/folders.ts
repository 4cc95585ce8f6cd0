import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export const HERE = dirname(fileURLToPath(import.meta.url));
/** `clients/js`, and the repository. */
export const JS = dirname(dirname(dirname(HERE)));
export const ROOT = dirname(dirname(JS));
