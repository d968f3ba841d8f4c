import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { describeSettings, settingsTable } from "@flotilla/shared/process/describe-settings";
import { gatewayEnv } from "../../apps/api/src/config.ts";
import { workerEnv } from "../../apps/worker/src/config.ts";

const FILE = new URL("../../docs/settings.md", import.meta.url);

function document(): string {
  const internal = new Set(["FLOTILLA_SOLO_RUN"]);
  const worker = describeSettings(workerEnv).filter((setting) => !internal.has(setting.name));
  return `# Settings

Environment variables, read once at start; a wrong one stops the process with all problems in one message. Each may be given as a file:
\`DATABASE_URL_FILE=/run/secrets/database\` reads \`DATABASE_URL\` from there. Graphs see the same environment, and what the \`env\` of their
\`langgraph.json\` adds.

## Gateway

${settingsTable(describeSettings(gatewayEnv))}

## Worker

${settingsTable(worker)}

## Example graphs

| setting | default | |
|---|---|---|
| \`MODEL\` | an offline model | \`provider:name\`, e.g. \`openai:gpt-4o-mini\` or \`anthropic:claude-sonnet-4-5\` |
| \`OPENAI_API_KEY\`, \`ANTHROPIC_API_KEY\` | | the provider's key |
| \`OPENAI_BASE_URL\` | | any OpenAI-compatible server |
| \`OFFLINE_MODEL_DELAY_MS\` | \`5\` | pause between the tokens of the offline model |
`;
}

test("docs/settings.md says what the schemas take; UPDATE_DOCS=1 writes it anew", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(FILE, document());
  expect(readFileSync(FILE, "utf8")).toBe(document());
  for (const setting of [...describeSettings(gatewayEnv), ...describeSettings(workerEnv)])
    expect([setting.name, setting.description]).not.toEqual([setting.name, ""]);
});
