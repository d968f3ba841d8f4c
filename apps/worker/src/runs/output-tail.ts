import { stripVTControlCharacters } from "node:util";
import { redact } from "@flotilla/shared/process/redact";

/** Kept while the process lives, in bytes: so much more than is kept of it in the end that a secret which was cut is not in that. */
const KEPT_BYTES = 64 * 1024;
const MAX_LINES = 50;
const MAX_BYTES = 8 * 1024;
/** Longest line, in UTF-16 units: several fit. */
const MAX_LINE = 1_000;

/** The last that a process printed, in the order in which it came. Costs memory for its own size, whatever is printed. */
export class OutputTail {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isCut = false;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= 2 * KEPT_BYTES) return;
    this.#chunks = [Buffer.concat(this.#chunks).subarray(-KEPT_BYTES)];
    this.#bytes = KEPT_BYTES;
    this.#isCut = true;
  }

  /** At most 50 lines and 8 KB, without `secrets`, control characters and colours. */
  lines(secrets: readonly string[]): string[] {
    const printed = stripVTControlCharacters(Buffer.concat(this.#chunks).toString("utf8"));
    const text = redact(this.#isCut ? withoutCutSecret(printed, secrets) : printed, secrets);
    const lines = text
      .split(/\r?\n/)
      // eslint-disable-next-line no-control-regex -- those of text are meant
      .map((line) => line.replace(/[\0-\x08\x0b-\x1f\x7f]/g, "").trimEnd())
      .filter((line) => line !== "")
      .slice(-MAX_LINES)
      .map((line) => (line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line));
    let bytes = 0;
    const first = lines.findLastIndex((line) => (bytes += Buffer.byteLength(line) + 1) > MAX_BYTES);
    return lines.slice(first + 1);
  }
}

/** The text begins anywhere: perhaps within a secret, whose rest would not be recognised. */
function withoutCutSecret(text: string, secrets: readonly string[]): string {
  let cut = 0;
  for (const secret of secrets)
    for (let length = Math.min(secret.length - 1, text.length); length > cut; length--)
      if (text.startsWith(secret.slice(-length))) cut = length;
  return text.slice(cut);
}
