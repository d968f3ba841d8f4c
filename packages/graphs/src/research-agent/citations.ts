import type { Passage } from "./corpus.ts";
import type { Citation } from "./state.ts";

const MARK = /\s?\[(\d+(?:\s*,\s*\d+)*)\]/g;
const EXCERPT_LENGTH = 240;

/** The passage numbers that an answer refers to, in order of appearance, each once. */
export function citedNumbers(answer: string): number[] {
  return [...new Set([...answer.matchAll(MARK)].flatMap(([, list = ""]) => list.split(",").map(Number)))];
}

/** Takes out references to passages that do not exist: what remains can all be looked up. */
export function withoutInventions(answer: string, passageCount: number): string {
  return answer.replace(MARK, (whole, list: string) => {
    const real = list
      .split(",")
      .map(Number)
      .filter((number) => number >= 1 && number <= passageCount);
    if (real.length === 0) return "";
    return `${whole.startsWith("[") ? "" : " "}[${real.join(", ")}]`;
  });
}

/** The cited passages with the beginning of their text. */
export function citationsOf(answer: string, passages: readonly Passage[]): Citation[] {
  return citedNumbers(answer).flatMap((number) => {
    const passage = passages[number - 1];
    if (passage === undefined) return [];
    const { id, title, text } = passage;
    const excerpt = text.length <= EXCERPT_LENGTH ? text : `${text.slice(0, text.lastIndexOf(" ", EXCERPT_LENGTH))} …`;
    return [{ number, id, title, excerpt }];
  });
}
