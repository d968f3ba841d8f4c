import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readGraphConfig } from "./langgraph-json.ts";

async function ttlOf(checkpointer: unknown) {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-config-"));
  try {
    const path = join(folder, "langgraph.json");
    await writeFile(path, JSON.stringify({ graphs: {}, checkpointer }));
    return (await readGraphConfig(path)).threadTtl;
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("without a word about it threads stay for ever, and those with a time to live of their own are swept every five minutes", async () => {
  const stay = { strategy: "delete", defaultMinutes: undefined, sweepIntervalMinutes: 5, sweepLimit: 1_000 };
  for (const checkpointer of [undefined, null, {}, { ttl: null }, { ttl: {} }, { serde: { more: true } }])
    expect(await ttlOf(checkpointer)).toEqual(stay);
});

test("checkpointer.ttl says how long threads live and how they are swept", async () => {
  const ttl = { strategy: "keep_latest", default_ttl: 43_200, sweep_interval_minutes: 60, sweep_limit: 50, more: 1 };
  expect(await ttlOf({ ttl })).toEqual({
    strategy: "keep_latest",
    defaultMinutes: 43_200,
    sweepIntervalMinutes: 60,
    sweepLimit: 50,
  });
});

test.each([{ strategy: "forget" }, { default_ttl: 0 }, { default_ttl: "a day" }, { sweep_limit: 1.5 }])(
  "%j is refused by name",
  async (ttl) => {
    await expect(ttlOf({ ttl })).rejects.toThrow(new RegExp(`checkpointer\\.ttl\\.${Object.keys(ttl)[0]}`));
  },
);
