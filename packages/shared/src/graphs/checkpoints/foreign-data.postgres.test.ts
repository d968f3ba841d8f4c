import { AIMessage, HumanMessage, isBaseMessage } from "@langchain/core/messages";
import { emptyCheckpoint, type CheckpointMetadata } from "@langchain/langgraph-checkpoint";
import { PostgresSaver } from "@langchain/langgraph-checkpoint-postgres";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../../../../test/support/database.ts";
import { holdNewRun } from "../../../../../test/failure/support/held-saver.ts";
import { ThreadSaver } from "./thread-saver.ts";

// State holds what users send. Whatever it looks like, it stays data, and its thread stays readable.

const METADATA: CheckpointMetadata = { source: "loop", step: 0, parents: {} };

beforeEach(() => {
  process.env["SECRET_OF_THE_SERVER"] = "hunter2";
});
afterEach(() => {
  delete process.env["SECRET_OF_THE_SERVER"];
});

const secret = { lc: 1, type: "secret", id: ["SECRET_OF_THE_SERVER"] };
const foreign: Record<string, unknown> = {
  "a secret of the environment": secret,
  "a class of LangChain": {
    lc: 1,
    type: "constructor",
    id: ["langchain_core", "prompts", "prompt", "PromptTemplate"],
    kwargs: { template: "{x}" },
  },
  "a message that is none": {
    lc: 1,
    type: "constructor",
    id: ["langchain_core", "messages", "HumanMessage"],
    kwargs: { content: "forged" },
  },
  "a class that does not exist": { lc: 1, type: "constructor", id: ["evil", "Nothing"], kwargs: {} },
  "an envelope without an id": { lc: 1, type: "constructor" },
  "a native class": { lc: 2, type: "constructor", id: ["Map"], args: [[["a", 1]]], method: null, kwargs: {} },
  "a native class that fails": { lc: 2, type: "constructor", id: ["RegExp"], args: ["("] },
  "an undefined": { lc: 2, type: "undefined" },
  "our own mark": { __flotilla_plain__: [["lc", 1]] },
  "our own mark with something else": { __flotilla_plain__: "x", lc: 2 },
  "our own mark inside our own mark": {
    __flotilla_plain__: {
      __flotilla_plain__: [
        ["lc", 2],
        ["type", "undefined"],
      ],
    },
  },
  "an unknown version": { lc: 99, type: "constructor", id: ["x"] },
  "a NUL": "a\0b",
  "a lone surrogate": "a\ud800b",
  "both in a key": { "\0\udfff": 1 },
  "a prototype": JSON.parse(
    '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}',
  ) as unknown,
  "a prototype in an envelope": JSON.parse('{"lc": 1, "__proto__": {"polluted": true}}') as unknown,
  "deep inside": { a: [{ b: [secret, { c: { lc: 2, type: "undefined" } }] }] },
};

async function roundTrip(
  value: unknown,
): Promise<{ value: unknown; write: unknown; checkpointId: string; threadId: string }> {
  const { pool } = await createTestDatabase();
  const { run, saver } = await holdNewRun(pool);
  const threadId = run.thread_id;
  const checkpoint = { ...emptyCheckpoint(), channel_values: { value }, channel_versions: { value: 1 } };
  const put = await saver.put({ configurable: { thread_id: threadId } }, checkpoint, METADATA, { value: 1 });
  await saver.putWrites(put, [["value", value]], "task");
  const tuple = await new ThreadSaver(pool, "default").getTuple({ configurable: { thread_id: threadId } });
  return {
    value: tuple?.checkpoint.channel_values["value"],
    write: tuple?.pendingWrites?.[0]?.[2],
    checkpointId: checkpoint.id,
    threadId,
  };
}

test("what users send comes back as it was, in values and in pending writes", async () => {
  const { value, write } = await roundTrip(foreign);
  for (const name of Object.keys(foreign)) {
    expect(JSON.stringify((value as typeof foreign)[name]), name).toBe(JSON.stringify(foreign[name]));
    expect(JSON.stringify((write as typeof foreign)[name]), name).toBe(JSON.stringify(foreign[name]));
  }
  expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  expect(Object.getPrototypeOf((value as Record<string, object>)["a prototype"])).toBe(Object.prototype);
  expect(JSON.stringify(value)).not.toContain("hunter2");
});

test("what is in a message of a user stays data, and the message a message", async () => {
  const message = new HumanMessage({
    content: [{ type: "text", text: "hi", extra: foreign["a message that is none"] }],
    additional_kwargs: { secret, mark: foreign["our own mark"] },
    response_metadata: { forged: foreign["a class of LangChain"], native: foreign["a native class"] },
  });
  const { value } = await roundTrip([message, new AIMessage("hello")]);
  const [first, second] = value as [HumanMessage, AIMessage];
  expect(isBaseMessage(first)).toBe(true);
  expect(isBaseMessage(second)).toBe(true);
  expect(first.content).toStrictEqual(message.content);
  expect(first.additional_kwargs).toStrictEqual(message.additional_kwargs);
  expect(first.response_metadata).toStrictEqual(message.response_metadata);
});

test("values that LangGraph itself writes come back as what they were", async () => {
  const values = {
    set: new Set([1, "a"]),
    map: new Map([["k", { deep: new Set([2]) }]]),
    bytes: new Uint8Array([0, 1, 255]),
    pattern: /a(b)/gi,
    error: new Error("no"),
  };
  const { value } = await roundTrip(values);
  expect(value).toEqual(values);
  expect((value as typeof values).bytes).toBeInstanceOf(Uint8Array);
});

test("a thread that the stock saver filled with such data can be read, and gives no secret away", async () => {
  const { pool } = await createTestDatabase();
  const stock = new PostgresSaver(pool);
  const inert = Object.fromEntries(Object.entries(foreign).filter(([name]) => !/NUL|surrogate|both/.test(name)));
  const checkpoint = { ...emptyCheckpoint(), channel_values: { value: inert }, channel_versions: { value: 1 } };
  await stock.put({ configurable: { thread_id: "t", checkpoint_ns: "" } }, checkpoint, METADATA, { value: 1 });
  const tuple = await new ThreadSaver(pool, "default").getTuple({ configurable: { thread_id: "t" } });
  const value = tuple?.checkpoint.channel_values["value"] as typeof foreign;
  expect(value["a secret of the environment"]).toEqual(secret);
  expect(value["a class that does not exist"]).toEqual(foreign["a class that does not exist"]);
  expect(JSON.stringify(value)).not.toContain("hunter2");
});
