import { expect, test } from "vitest";
import { citationsOf, citedNumbers, withoutInventions } from "./citations.ts";
import { Corpus, splitArticle } from "./corpus.ts";
import { criticiseByRules } from "./critique.ts";
import { splitQuestion } from "./plan.ts";
import { termsOf } from "./terms.ts";

const passages = splitArticle(
  "tea",
  "# Brewing tea\n\nBlack tea needs boiling water.\n\nGreen tea needs cooler water.",
);

test("an article is split into numbered paragraphs", () => {
  expect(passages.map(({ id, title }) => [id, title])).toEqual([
    ["tea#1", "Brewing tea"],
    ["tea#2", "Brewing tea"],
  ]);
});

test("references to passages that do not exist are taken out", () => {
  expect(withoutInventions("Boil it [1]. Wait [7]. Drink [2, 9].", 2)).toBe("Boil it [1]. Wait. Drink [2].");
});

test("citations come in the order in which the answer uses them, each once", () => {
  expect(citedNumbers("a [2], b [1], c [2, 1]")).toEqual([2, 1]);
  expect(citationsOf("a [2], b [1], c [5]", passages).map(({ id }) => id)).toEqual(["tea#2", "tea#1"]);
});

test("the critic wants references, real ones, and something on every search", () => {
  const corpus = new Corpus(passages);
  const answer = { question: "q", passages, queries: ["black tea", "green tea"] };
  expect(criticiseByRules({ ...answer, draft: "Tea." }, corpus).feedback).toContain("Cite");
  expect(criticiseByRules({ ...answer, draft: "Tea [3]." }, corpus).feedback).toContain("no passage 3");
  expect(criticiseByRules({ ...answer, draft: "Tea [1]." }, corpus).feedback).toBe("");
});

test("a corpus finds inflected words, and nothing when most of the question is foreign to it", () => {
  const corpus = new Corpus(passages);
  expect(corpus.search("boil waters", 5)[0]?.id).toBe("tea#1");
  expect(corpus.search("water polo championship rules", 5)).toEqual([]);
  expect(termsOf("Leases are leased")).toEqual(termsOf("lease leases"));
});

test("a question is split at its conjunctions", () => {
  expect(splitQuestion("Compare queues and streams")).toEqual([
    "Compare queues and streams",
    "Compare queues",
    "streams",
  ]);
  expect(splitQuestion("What is a lease?")).toEqual(["What is a lease?"]);
});
