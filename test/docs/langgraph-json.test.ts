import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KNOWN_KEYS } from "@flotilla/shared/graphs/langgraph-json";

test("docs/langgraph-json.md has every key that the schemas know, and no other", () => {
  const page = readFileSync(new URL("../../docs/langgraph-json.md", import.meta.url), "utf8");
  const known = KNOWN_KEYS.flatMap(({ path, keys }) => keys.map((key) => [...path, key].join(".")));
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const described = rows
    .flatMap((row) => [...(row.split(" | ")[0] ?? "").matchAll(/`([^`]+)`/g)].map(([, key]) => key))
    .toSorted();
  expect(described).toEqual(known.toSorted());
});
