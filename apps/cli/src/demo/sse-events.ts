/** One event of a stream, as Server-Sent Events carry it. */
export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string | undefined;
}

/** Reads Server-Sent Events from a response: any line ending, data over several lines, comments left out. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let fields = new Map<string, string>();
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    // A lone CR at the end may be half of a CRLF: leave it for the next chunk.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line !== "") {
        addField(fields, line);
        continue;
      }
      const data = fields.get("data");
      if (data !== undefined) yield { event: fields.get("event") ?? "message", data, id: fields.get("id") };
      fields = new Map();
    }
  }
}

function addField(fields: Map<string, string>, line: string): void {
  const colon = line.indexOf(":");
  if (colon === 0) return; // a comment: the heartbeat
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
  const before = name === "data" ? fields.get("data") : undefined;
  fields.set(name, before === undefined ? value : `${before}\n${value}`);
}
