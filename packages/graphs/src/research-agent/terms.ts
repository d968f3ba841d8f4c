const STOP_WORDS = new Set(
  `a about above after again all also an and any are as at be because been before being between both but by can could
  did do does doing done down each explain for from further give had has have having how i if in into is it its just
  let me more most much must my no nor not of off on once one only or other our out over own please same shall should
  so some such tell than that the their them then there these they this those through to too under until up us use
  used uses using very was we were what when where which while who why will with would you your describe compare
  difference between versus vs work works mean means good best way need needs like get make happen happens`.split(
    /\s+/,
  ),
);

/**
 * The words of a text that carry meaning, lower-case, with common endings cut off, so that "leases" finds "lease". The
 * index and the query must be prepared by this same function.
 */
export function termsOf(text: string): string[] {
  const words = text.toLowerCase().match(/[\p{L}\d]+/gu) ?? [];
  return words.filter((word) => word.length > 1 && !STOP_WORDS.has(word)).map(stem);
}

/** A few regular endings; a full stemmer gains little on a corpus of this size. */
function stem(word: string): string {
  if (word.length <= 4 || /\d/.test(word)) return word.length === 4 ? word.replace(/(?<=[^s])s$/, "") : word;
  return word
    .replace(/ies$/, "y")
    .replace(/(?<=ss|x|ch|sh)es$/, "")
    .replace(/(?<=[^su])s$/, "")
    .replace(/(?<=\w{4})(?:ing|ed|ly)$/, "")
    .replace(/(?<=\w{4})e$/, "");
}
