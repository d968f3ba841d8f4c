import { RE2JS } from "re2js";

/**
 * Regular expressions for text from outside, matched by RE2's way in time proportional to pattern times text, whatever the two are.
 * JavaScript's own matcher tries alternatives one after the other and can be kept busy for hours by a text made for it.
 * https://github.com/google/re2/wiki/Syntax: no look-ahead, look-behind, or references to groups.
 */
export interface LinearPattern {
  /** Whether the pattern matches the whole text. */
  matches(text: string): boolean;
}

const MAX_LENGTH = 1_000;

/** @throws Error that says what the pattern has that is not taken. */
export function parseLinearPattern(source: string): LinearPattern {
  if (source.length > MAX_LENGTH) throw new Error(`the pattern is longer than ${MAX_LENGTH} characters`);
  const pattern = RE2JS.compile(source);
  return { matches: (text) => pattern.matches(text) };
}
