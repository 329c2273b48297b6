/** Text prepared for searching: its letters and digits in one string, and where each token in it begins. */
interface SearchText {
  compact: string;
  tokenOf: readonly number[];
}

const combiningMarks = /\p{M}+/gu;
const separators = /[^\p{L}\p{N}]+/u;
const digit = /\p{N}/u;

/** Lower case, without accents. */
function normalize(text: string): string {
  return text.normalize("NFKD").replace(combiningMarks, "").toLowerCase();
}

/** Prepared texts kept: all names of a catalogue several times over. */
const TEXTS_KEPT = 50_000;
const preparedTexts = new Map<string, SearchText>();

/** Texts of the catalogue are searched again and again, and taking off accents is most of the work. */
function prepare(text: string): SearchText {
  const known = preparedTexts.get(text);
  if (known !== undefined) return known;
  const prepared = split(text);
  if (preparedTexts.size >= TEXTS_KEPT) preparedTexts.clear();
  preparedTexts.set(text, prepared);
  return prepared;
}

function split(text: string): SearchText {
  const tokens = normalize(text).split(separators);
  return {
    compact: tokens.join(""),
    tokenOf: tokens.flatMap((token, index) => Array.from({ length: token.length }, () => index)),
  };
}

/**
 * A test for texts that hold every word of a search, in any order, whatever their case, accents and separators:
 * "llama3 70b" finds "llama-3.1-70b", "rtx3090" finds "NVIDIA RTX 3090". A word may be any part of a token,
 * or begin with one and run on into the next; it never begins inside a number ("8b" does not find "38b").
 */
export function compileSearch(search: string): (texts: readonly (string | null | undefined)[]) => boolean {
  const words = normalize(search)
    .split(/\s+/)
    .map((word) => word.split(separators).join(""))
    .filter((word) => word !== "");
  return (texts) => {
    const prepared = texts.filter((text) => text != null).map(prepare);
    return words.every((word) => prepared.some((text) => holds(text, word)));
  };
}

function holds({ compact, tokenOf }: SearchText, word: string): boolean {
  for (let at = compact.indexOf(word); at !== -1; at = compact.indexOf(word, at + 1)) {
    const beginsToken = at === 0 || tokenOf[at] !== tokenOf[at - 1];
    const withinToken = tokenOf[at] === tokenOf[at + word.length - 1];
    const insideNumber = digit.test(word.charAt(0)) && digit.test(compact.charAt(at - 1));
    if (beginsToken || (withinToken && !insideNumber)) return true;
  }
  return false;
}
