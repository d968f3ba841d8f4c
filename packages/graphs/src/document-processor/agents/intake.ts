import { type DraftChange, type Format, type Progress, unreadable } from "../draft.ts";
import { decodeText, detectFormat } from "../reading/detect-format.ts";
import { readHtml } from "../reading/read-html.ts";
import { readMarkdown } from "../reading/read-markdown.ts";
import { readPdf } from "../reading/read-pdf.ts";
import type { Document } from "../state.ts";

/** Largest document that is read, in bytes after decoding. */
export const MAX_BYTES = 10 * 1024 * 1024;

/** Longest text that is worked on, in characters; what is beyond it is left out and named as a problem. */
export const MAX_TEXT = 200_000;

/**
 * The first agent: finds out what a document is and gets its text. Whatever is wrong with the document becomes a
 * problem of its draft; nothing is thrown.
 */
export async function takeIn(document: Document, progress: Progress): Promise<DraftChange> {
  const bytes = contentOf(document);
  if (bytes === undefined) return unreadable("base64_invalid: the content is not base64");
  if (bytes.length > MAX_BYTES) {
    return unreadable(`document_too_large: ${bytes.length} bytes; the limit is ${MAX_BYTES}`);
  }
  const detected = detectFormat(bytes, document.media_type);
  if ("problem" in detected) return unreadable(detected.problem);
  progress(`reading ${detected.format}, ${bytes.length} bytes`);
  try {
    const text = normalise(await readText(bytes, detected.format));
    if (text === "")
      return unreadable("text_missing: the document holds no text; a scan would have to be recognised first");
    const isCut = text.length > MAX_TEXT;
    const problems = isCut ? [`text_truncated: only the first ${MAX_TEXT} of ${text.length} characters were used`] : [];
    return { text: text.slice(0, MAX_TEXT), format: detected.format, problems };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return unreadable(`${detected.format}_unreadable: ${reason.slice(0, 200)}`);
  }
}

/** Undefined when what should be base64 is not. Text wins over base64 when a sender gives both. */
function contentOf({ text, base64 }: Document): Uint8Array | undefined {
  if (text !== undefined && text !== "") return Buffer.from(text, "utf8");
  const data = (base64 ?? "").replace(/^data:[^,]*,/, "").replace(/\s/g, "");
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(data) ? Buffer.from(data, "base64") : undefined;
}

async function readText(bytes: Uint8Array, format: Format): Promise<string> {
  if (format === "pdf") return (await readPdf(bytes)).text;
  const text = (decodeText(bytes) ?? "").replace(/\r\n?/g, "\n").replace(WIDE_GAP, GAP);
  if (format === "html") return readHtml(text);
  return format === "markdown" ? readMarkdown(inShortLines(text)) : text;
}

/**
 * No language has words this long, and hardly a paragraph is one line of that length. Breaking them bounds the time of the
 * searches that follow, some of which would otherwise look through a row of 200,000 characters from every one of them,
 * and hold up every run of the process meanwhile.
 */
function inShortLines(text: string): string {
  return text.replace(/\S{200}/g, "$&\n").replace(/([^\n]{1800,2000})[^\S\n]/g, "$1\n");
}

/** Wider gaps say no more than this one, and are as slow to search through as endless words. */
const WIDE_GAP = /[ \t]{40,}/g;
const GAP = " ".repeat(40);

/**
 * One kind of space, no trailing blanks, at most one empty line at a time; columns stay apart. A no-break space inside
 * a figure stays, as a narrow one: `1 234,56` set with it is one amount, while with a plain space it may be two.
 */
function normalise(text: string): string {
  const clean = text
    .normalize("NFC")
    .replace(/(?<=\d)[\u00a0\u2007\u202f\u2009](?=\d{3}(?!\d))/g, "\u202f")
    .replace(/[\u00a0\u2007\u2009]|\u202f(?!\d{3}(?!\d))/g, " ")
    .replace(/[\u200b\u00ad\ufeff]/g, "")
    .replace(WIDE_GAP, GAP);
  return inShortLines(clean)
    .replace(/[ \t]+$/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}
