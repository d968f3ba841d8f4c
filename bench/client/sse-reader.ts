/** An event as it came; `data` is not parsed. */
export interface SseEvent {
  event: string;
  data: string;
}

/**
 * Cuts a stream of text into events. Only what our server sends: one `data:` line an event, `\n` as line end. A full parser
 * would cost the machine more than some of what is measured.
 */
export class SseReader {
  readonly #onEvent: (event: SseEvent) => void;
  #rest = "";

  constructor(onEvent: (event: SseEvent) => void) {
    this.#onEvent = onEvent;
  }

  read(text: string): void {
    const all = this.#rest + text;
    let start = 0;
    for (let end = all.indexOf("\n\n"); end !== -1; end = all.indexOf("\n\n", start)) {
      const event = parseBlock(all.slice(start, end));
      start = end + 2;
      if (event !== undefined) this.#onEvent(event);
    }
    this.#rest = all.slice(start);
  }
}

/** Undefined for a block without data: hints and heartbeats. */
function parseBlock(block: string): SseEvent | undefined {
  const data = block.lastIndexOf("\ndata: ");
  if (data === -1) return undefined;
  const name = block.lastIndexOf("event: ", data);
  return { event: name === -1 ? "message" : block.slice(name + 7, data), data: block.slice(data + 7) };
}
