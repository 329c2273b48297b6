/*
 * Largest values a configuration may name. They bound the work an estimate does whatever the configuration says,
 * and lie far above every published model (most layers: 126, widest: 53,248, most experts: 896, largest
 * vocabulary: 262,400), so that a larger value is a slip or an attack.
 */

/** Layers, prediction blocks included. */
export const MAX_LAYERS = 1000;
/** Any width, head count or rank. */
export const MAX_WIDTH = 2 ** 24;
/** Routed experts of one layer. */
export const MAX_EXPERTS = 2 ** 16;
/** Entries of the vocabulary. */
export const MAX_VOCABULARY = 2 ** 27;
/** Tokens of context: every runtime keeps it in a signed 32-bit number. */
export const MAX_CONTEXT_TOKENS = 2 ** 31 - 1;
/** Prediction blocks (MTP). */
export const MAX_PREDICTION_BLOCKS = 16;
/** Parameters in all: a hundred times the largest published model, and 32 bits of each still a safe integer. */
export const MAX_PARAMETERS = 2 ** 50;
/** Entries of any list in a configuration. */
export const MAX_LIST_LENGTH = 10_000;
/** Characters of a configuration's text. */
export const MAX_CONFIG_CHARACTERS = 4_000_000;
