import { readdir, readFile } from "node:fs/promises";
import MiniSearch from "minisearch";
import { termsOf } from "./terms.ts";

/** Where the articles are; the same place seen from `src` and from `dist`. */
const FOLDER = new URL("../../corpus/", import.meta.url);

/** A paragraph of an article: small enough to quote, large enough to understand. `id` is `article#number`. */
export interface Passage {
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

/** Share of a query's words that a passage must have to count as found; below it the match is an accident. */
const ENOUGH_OF_THE_QUERY = 0.5;

/**
 * The articles that ship with the package, searchable by words.
 *
 * Ranked with BM25+ by MiniSearch: it has no dependencies, needs no native code, and holds an index of this size in a
 * megabyte. Embeddings would find synonyms too, but need a model, and this agent has to work without any.
 */
export class Corpus {
  readonly #index: MiniSearch<Passage>;

  constructor(passages: readonly Passage[]) {
    this.#index = new MiniSearch<Passage>({
      fields: ["title", "text"],
      storeFields: ["id", "title", "text"],
      tokenize: (text) => termsOf(text),
      processTerm: (term) => term,
    });
    this.#index.addAll(passages);
  }

  /** The best passages for a query, best first; none when the corpus says nothing about it. */
  search(query: string, limit: number): Passage[] {
    const terms = new Set(termsOf(query));
    const hits = this.#index.search(query, {
      boost: { title: 2 },
      prefix: (term) => term.length >= 6,
      fuzzy: (term) => (term.length >= 8 ? 1 : false),
    });
    const isFound = (matched: number) => matched / terms.size >= ENOUGH_OF_THE_QUERY;
    return hits
      .filter((hit) => isFound(hit.queryTerms.length))
      .slice(0, limit)
      .map((hit) => ({ id: String(hit.id), title: String(hit["title"]), text: String(hit["text"]) }));
  }
}

let shipped: Promise<Corpus> | undefined;

/** The corpus of the package; read once in a process, at the first search. */
export function shippedCorpus(): Promise<Corpus> {
  shipped ??= readArticles().then((passages) => new Corpus(passages));
  return shipped;
}

async function readArticles(): Promise<Passage[]> {
  const files = (await readdir(FOLDER)).filter((name) => name.endsWith(".md")).sort();
  const articles = await Promise.all(
    files.map(async (name) =>
      splitArticle(name.slice(0, -".md".length), await readFile(new URL(name, FOLDER), "utf8")),
    ),
  );
  return articles.flat();
}

/** The first line of an article is its title, `# …`; blank lines separate its paragraphs. */
export function splitArticle(name: string, markdown: string): Passage[] {
  const [heading = "", ...paragraphs] = markdown.trim().split(/\n{2,}/);
  const title = heading.replace(/^#\s*/, "");
  return paragraphs.map((text, at) => ({ id: `${name}#${at + 1}`, title, text: text.replace(/\s+/g, " ") }));
}
