import { expect, test } from "vitest";
import { npmRun, npmStart, shellWord } from "./commands.ts";

test("a plain start has plain commands", () => {
  expect(npmStart({ port: 2024, workers: 2 })).toBe("npm start");
  expect(npmRun("demo", {})).toBe("npm run demo");
  expect(npmRun("keys", {}, "create")).toBe("npm run keys -- create");
});

test("the commands of a start with options mean that start and no other", () => {
  const choice = { config: "../my agents/langgraph.json", state: ".flotilla-2025" };
  const options = "--config '../my agents/langgraph.json' --state .flotilla-2025";
  expect(npmRun("demo", choice)).toBe(`npm run demo -- ${options}`);
  expect(npmRun("keys", choice, "create")).toBe(`npm run keys -- ${options} create`);
  expect(npmStart({ ...choice, port: 2025, workers: 3 })).toBe(`npm start -- --port 2025 --workers 3 ${options}`);
});

test("a word of a shell stays one word", () => {
  expect(shellWord("it's $HOME")).toBe(`'it'\\''s $HOME'`);
});
