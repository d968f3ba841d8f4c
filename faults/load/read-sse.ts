import type { Readable } from "node:stream";

export interface SseEvent {
  id: string | undefined;
  event: string;
  data: string;
}

/** Cuts a body into events; comments and hints come as a sign of life. Only what our server sends: one `data:` line an event. */
export async function* readSse(body: Readable): AsyncGenerator<SseEvent | "sign of life"> {
  body.setEncoding("utf8");
  let rest = "";
  for await (const part of body) {
    const all = rest + String(part);
    const blocks = all.split("\n\n");
    rest = blocks.pop() ?? "";
    yield "sign of life";
    for (const block of blocks) {
      const event = parse(block);
      if (event !== undefined) yield event;
    }
  }
}

function parse(block: string): SseEvent | undefined {
  let id: string | undefined;
  let event = "message";
  let data: string | undefined;
  for (const line of block.split("\n")) {
    if (line.startsWith("id: ")) id = line.slice(4);
    else if (line.startsWith("event: ")) event = line.slice(7);
    else if (line.startsWith("data: ")) data = line.slice(6);
  }
  return data === undefined ? undefined : { id, event, data };
}
