import { expect, test } from "vitest";
import { readEvents, type StreamEvent } from "./sse-events.ts";

async function eventsOf(...chunks: string[]): Promise<StreamEvent[]> {
  const events: StreamEvent[] = [];
  for await (const event of readEvents(ReadableStream.from(chunks.map((chunk) => new TextEncoder().encode(chunk))))) {
    events.push(event);
  }
  return events;
}

const EXPECTED = [
  { event: "updates", data: '{"a":1}', id: "1-2" },
  { event: "end", data: "null", id: "1-3" },
];
const STREAM =
  'retry: 1000\n\nid: 1-2\nevent: updates\ndata: {"a":1}\n\n: heartbeat\nid: 1-3\nevent: end\ndata: null\n\n';

test("events come with their name, data and id; comments and retry hints do not", async () => {
  expect(await eventsOf(STREAM)).toEqual(EXPECTED);
});

test("it does not matter where the stream is cut or how lines end", async () => {
  expect(await eventsOf(...STREAM.split(""))).toEqual(EXPECTED);
  expect(await eventsOf(...STREAM.replaceAll("\n", "\r\n").split(""))).toEqual(EXPECTED);
});

test("data over several lines is one text", async () => {
  expect(await eventsOf("data: a\ndata: b\n\n")).toEqual([{ event: "message", data: "a\nb", id: undefined }]);
});

test("an event that was cut off is not given", async () => {
  expect(await eventsOf("id: 1-1\nevent: values\ndata: {")).toEqual([]);
});
