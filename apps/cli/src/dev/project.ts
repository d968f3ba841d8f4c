import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { reasonOf, StartupError } from "../stack/startup-error.ts";
import { USAGE_ERROR } from "./exit-codes.ts";

/** A folder with a langgraph.json: whose graphs are served and where the state of `flotilla dev` is kept. */
export interface Project {
  readonly config: string;
  readonly folder: string;
  readonly graphIds: readonly string[];
}

/** Where the user is: npm changes to the folder of package.json and remembers where it was called. */
export function userFolder(): string {
  const fromNpm = process.env["npm_lifecycle_event"] === undefined ? undefined : process.env["INIT_CWD"];
  return fromNpm ?? process.cwd();
}

export function readProject(config: string | undefined): Project {
  const path = config === undefined ? resolve("langgraph.json") : resolve(userFolder(), config);
  const remedy = "npm start -- --config path/to/langgraph.json";
  if (!existsSync(path)) {
    throw new StartupError("config", `there is no ${path}`, { remedy, exitCode: USAGE_ERROR });
  }
  let graphs: unknown;
  try {
    ({ graphs } = JSON.parse(readFileSync(path, "utf8")) as { graphs?: unknown });
  } catch (error) {
    throw new StartupError("config", `${path} is not JSON: ${reasonOf(error)}`, { exitCode: USAGE_ERROR });
  }
  const graphIds = typeof graphs === "object" && graphs !== null ? Object.keys(graphs) : [];
  if (graphIds.length === 0) {
    const why = `${path} names no graphs; it needs e.g. "graphs": { "agent": "./src/agent.ts:graph" }`;
    throw new StartupError("config", why, { exitCode: USAGE_ERROR });
  }
  return { config: realpathSync(path), folder: dirname(realpathSync(path)), graphIds };
}

/** The folder for data and logs: below the project unless given. It keeps itself out of git. */
export function prepareStateDirectory(project: Project, given: string | undefined): string {
  const folder = given === undefined ? join(project.folder, ".flotilla") : resolve(userFolder(), given);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, ".gitignore"), "*\n");
  } catch (error) {
    throw new StartupError("state", `cannot write to ${folder}: ${reasonOf(error)}`, {
      remedy: "npm start -- --state some/other/folder",
      cause: error,
    });
  }
  return realpathSync(folder);
}
