import { readFileSync, writeFileSync } from "node:fs";
import { parseEnv as parseDotEnv } from "node:util";
import { expect, test } from "vitest";
import { describeSettings, settingsTable, type Setting } from "@flotilla/shared/process/describe-settings";
import { parseEnv } from "@flotilla/shared/process/env";
import { gatewayEnv } from "../../apps/api/src/config.ts";
import { workerEnv } from "../../apps/worker/src/config.ts";

const TABLES = new URL("../../docs/settings.md", import.meta.url);
const EXAMPLE = new URL("../../.env.example", import.meta.url);
/** What a worker says to its own child is nobody's to set. */
const INTERNAL = new Set(["FLOTILLA_SOLO_RUN"]);

const gateway = describeSettings(gatewayEnv);
const worker = describeSettings(workerEnv).filter((setting) => !INTERNAL.has(setting.name));

function document(): string {
  return `# Settings

Environment variables, read once at start; a wrong one stops the process with all problems in one message. Each may be given as a file:
\`DATABASE_URL_FILE=/run/secrets/database\` reads \`DATABASE_URL\` from there. Graphs see the same environment, and what the \`env\` of their
\`langgraph.json\` adds.

## Gateway

${settingsTable(gateway)}

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

/** Every setting as a comment: what is switched on without a change is what would be without the file. */
function example(): string {
  const differs = (setting: Setting): boolean =>
    worker.every((other) => JSON.stringify(other) !== JSON.stringify(setting));
  const common = gateway.filter((setting) => !differs(setting));
  const shared = new Set(common.map(({ name }) => name));
  const others = (settings: Setting[]): Setting[] => settings.filter(({ name }) => !shared.has(name));
  return `# Settings with their defaults; docs/settings.md has them as a table. Copy to .env, then take the # away where you differ.
#
# A server reads its environment, so load the file into it:
#   set -a; . ./.env; set +a; npm start
#   node --env-file=.env apps/worker/dist/main.js
# The "env" of a langgraph.json names a file for the graphs alone, e.g. for OPENAI_API_KEY.

# Gateway and worker
${lines(common)}
# Gateway
${lines(others(gateway))}
# Worker
${lines(others(worker))}
# Example graphs
${lines([
  { name: "MODEL", default: "", description: "provider:name, e.g. openai:gpt-4o-mini; an offline model when not set" },
  { name: "OPENAI_API_KEY", default: "", description: "Key of the provider; for Anthropic ANTHROPIC_API_KEY" },
  { name: "OPENAI_BASE_URL", default: "", description: "Any OpenAI-compatible server" },
  { name: "OFFLINE_MODEL_DELAY_MS", default: "5", description: "Pause between the tokens of the offline model" },
]).trimEnd()}
`;
}

/** In quotes where a shell would take more than one word out of it. */
function lines(settings: Setting[]): string {
  const quoted = (value: string): string => (/^[\w./:-]*$/.test(value) ? value : `"${value}"`);
  return settings
    .map(({ name, default: value, description }) => `# ${description}\n#${name}=${quoted(value)}\n`)
    .join("");
}

test("docs/settings.md says what the schemas take; UPDATE_DOCS=1 writes it anew", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(TABLES, document());
  expect(readFileSync(TABLES, "utf8")).toBe(document());
  for (const setting of [...gateway, ...worker])
    expect([setting.name, setting.description]).not.toEqual([setting.name, ""]);
});

test(".env.example says what the schemas take; UPDATE_DOCS=1 writes it anew", () => {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(EXAMPLE, example());
  expect(readFileSync(EXAMPLE, "utf8")).toBe(example());
});

test("switching on every default in .env.example changes nothing", () => {
  const [common = "", ofGateway = "", ofWorker = ""] = readFileSync(EXAMPLE, "utf8").split(/^# (?:Gateway|Worker)$/m);
  const given = { DATABASE_URL: "postgres://x", REDIS_URL: "redis://x" };
  const switchedOn = (text: string): NodeJS.ProcessEnv => {
    const { DATABASE_URL: _1, REDIS_URL: _2, ...defaults } = parseDotEnv(text.replace(/^#(?=[A-Z])/gm, ""));
    return { ...given, ...defaults };
  };
  expect(parseEnv(gatewayEnv, switchedOn(common + ofGateway))).toEqual(parseEnv(gatewayEnv, given));
  expect(parseEnv(workerEnv, switchedOn(common + ofWorker))).toEqual(parseEnv(workerEnv, given));
});
