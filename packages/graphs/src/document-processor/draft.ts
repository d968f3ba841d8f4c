import type { DocumentType, Fields } from "./state.ts";

/** How a document is written; decided by its content. */
export type Format = "pdf" | "html" | "markdown" | "text";

/**
 * One document's work in progress, handed from agent to agent. Plain data: it travels in `Send`s and is kept in
 * checkpoints between two steps.
 */
export interface Draft {
  /** Place in the batch, from 0; keys everything that the agents write. */
  readonly index: number;
  readonly name: string;
  readonly review: boolean;
  /** Empty when the document cannot be read. Cells of a table row are separated by ` | `, headings start with `# `. */
  readonly text: string;
  readonly format?: Format;
  readonly type: DocumentType;
  /** 0 to 1: how sure the processor is of the type and the fields. */
  readonly confidence: number;
  readonly fields: Fields;
  /** Each `name_of_check: what was found`. */
  readonly problems: readonly string[];
  readonly summary?: string;
}

/** What an agent changes about a draft. */
export type DraftChange = Partial<Omit<Draft, "index" | "name" | "review">>;

/** Tells whoever watches the run what is being done to a document; goes out as a `custom` event. */
export type Progress = (message: string) => void;

/** Marks a document that cannot be processed; the agents after intake leave it alone. */
export function unreadable(problem: string): DraftChange {
  return { text: "", type: "unknown", confidence: 0, problems: [problem] };
}

export function isReadable(draft: Draft): boolean {
  return draft.text !== "";
}
