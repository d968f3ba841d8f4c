import { expect, test } from "vitest";
import { commandsToTry } from "./banner.ts";

const URL = "http://127.0.0.1:2025";

test("the commands to try go to the start that prints them", () => {
  const choice = { state: ".flotilla-2025" };
  const commands = commandsToTry(choice, URL, { graphIds: ["document_processor", "counter"] });
  expect(commands[0]).toBe("npm run demo -- --state .flotilla-2025");
  expect(commands[1]).toBe("npm run demo -- --state .flotilla-2025 --slow");
  expect(commands[2]).toContain(`${URL}/graphs/document_processor/stream`);
});

test("a project of one's own gets commands for its own graphs", () => {
  const commands = commandsToTry({ config: "../mine/langgraph.json" }, URL, { graphIds: ["agent"] });
  expect(commands.join("\n")).not.toContain("npm run demo");
  expect(commands[1]).toContain(`${URL}/graphs/agent/stream`);
});
