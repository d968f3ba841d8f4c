/**
 * Matches a text that begins with one of the words, whole and in any case. The words are patterns, so `net (?:price|cost)`
 * is two; they are tried in order.
 */
export function beginsWith(...alternatives: readonly string[]): RegExp {
  return new RegExp(String.raw`^(?:${alternatives.join("|")})(?![\p{L}\d])`, "iu");
}
