import type { Format } from "../draft.ts";

/** What a document's bytes turned out to be; `problem` is set when there is nothing to read. */
export type Detection = { readonly format: Format } | { readonly problem: string };

const BINARY_SIGNATURES: readonly (readonly [string, string])[] = [
  ["89504e47", "a PNG image"],
  ["ffd8ff", "a JPEG image"],
  ["47494638", "a GIF image"],
  ["49492a00", "a TIFF image"],
  ["4d4d002a", "a TIFF image"],
  ["504b0304", "a ZIP archive or an Office document"],
  ["d0cf11e0", "an old Office document"],
  ["1f8b", "a gzip archive"],
];

/** Decides by content; the media type only settles what content leaves open, because senders often get it wrong. */
export function detectFormat(bytes: Uint8Array, mediaType: string | undefined): Detection {
  if (bytes.length === 0) return { problem: "document_empty: the document has no content" };
  const start = Buffer.from(bytes.subarray(0, 1024));
  // Readers accept up to a kilobyte of rubbish before the header, and mail gateways do put some there.
  if (start.includes("%PDF-")) return { format: "pdf" };
  const hex = start.subarray(0, 8).toString("hex");
  const binary = BINARY_SIGNATURES.find(([signature]) => hex.startsWith(signature));
  if (binary !== undefined) return { problem: `format_unsupported: the document is ${binary[1]}` };
  if (mediaType?.toLowerCase().startsWith("application/pdf") === true) {
    return { problem: "pdf_unreadable: declared as PDF, but it has no PDF header" };
  }
  const text = decodeText(bytes);
  if (text === undefined) return { problem: "format_unsupported: the document is binary data of an unknown kind" };
  if (text.trim() === "") return { problem: "document_empty: the document has no text" };
  return { format: textFormat(text, mediaType?.toLowerCase() ?? "") };
}

/**
 * Bytes as text: UTF-8 or UTF-16 by byte order mark, else UTF-8, else Windows-1252 (what older European business
 * software writes). Undefined when control characters show that it is no text at all.
 */
export function decodeText(bytes: Uint8Array): string | undefined {
  const [a, b] = bytes;
  const utf16 = a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : undefined;
  if (utf16 !== undefined) return new TextDecoder(utf16).decode(bytes);
  const isBinary = bytes.subarray(0, 4096).some((byte) => byte < 9 || (byte > 13 && byte < 32 && byte !== 27));
  if (isBinary) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

function textFormat(text: string, mediaType: string): Format {
  if (/<(?:!doctype html|html|body|table|div|p|h[1-6]|ul)\b[^<>]*>/i.test(text)) return "html";
  const marks = [
    /^#{1,6} \S/m,
    /^\|.+\|\s*$/m,
    /^[ \t]*[-*] \S.*\n[ \t]*[-*] \S/m,
    /\*\*\S[^*]{0,300}\*\*/,
    /\[[^[\]]{1,300}\]\([^()]{1,2000}\)/,
  ];
  const markdown = marks.filter((mark) => mark.test(text)).length;
  if (mediaType.includes("markdown") || markdown >= 2 || /^#{1,6} \S/m.test(text)) return "markdown";
  return mediaType.includes("html") ? "html" : "text";
}
