import { existsSync, mkdirSync, readFileSync, realpathSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileRefusal, reasonOf, StartupError } from "../stack/startup-error.ts";
import { npmStart, shellWord, type Choice, type StartChoice } from "./commands.ts";
import { USAGE_ERROR } from "./exit-codes.ts";

/** A folder with a langgraph.json: whose graphs are served and where the state of `flotilla dev` is kept. */
export interface Project {
  readonly config: string;
  readonly folder: string;
  readonly graphIds: readonly string[];
  /** Below which path the gateway serves its API: as the file has it; the gateway checks it. */
  readonly mountPrefix: string;
}

/** Where the user is: npm changes to the folder of package.json and remembers where it was called. */
export function userFolder(): string {
  const fromNpm = process.env["npm_lifecycle_event"] === undefined ? undefined : process.env["INIT_CWD"];
  return fromNpm ?? process.cwd();
}

/** @throws StartupError when there is no langgraph.json that can be served. */
export function readProject(choice: Choice): Project {
  const path = configPath(choice);
  const { graphs, http } = readJson(path, choice);
  const isMap = typeof graphs === "object" && graphs !== null && !Array.isArray(graphs);
  const graphIds = isMap ? Object.keys(graphs) : [];
  const mountPrefix = typeof http?.mount_prefix === "string" ? http.mount_prefix : "";
  if (graphIds.length > 0) return { config: path, folder: dirname(path), graphIds, mountPrefix };
  throw new StartupError("config", `${path} names no graphs`, {
    remedy: `${editor(path)}   (it needs e.g. "graphs": { "agent": "./src/agent.ts:graph" })`,
    exitCode: USAGE_ERROR,
  });
}

/** Where the gateway of a project will be. The environment's word counts more than the file's, as it does for the gateway. */
export function gatewayUrl(
  port: number,
  { mountPrefix }: Pick<Project, "mountPrefix">,
  env: NodeJS.ProcessEnv,
): string {
  return `http://127.0.0.1:${port}${(env["MOUNT_PREFIX"] || mountPrefix).replace(/\/$/, "")}`;
}

function configPath({ config }: Choice): string {
  const path = config === undefined ? resolve("langgraph.json") : resolve(userFolder(), config);
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats?.isFile()) return realpathSync(path);
  const inside = stats?.isDirectory() && config !== undefined ? join(config, "langgraph.json") : undefined;
  throw new StartupError("config", inside === undefined ? `there is no ${path}` : `${path} is a folder`, {
    remedy: npmStart({ config: inside ?? "path/to/langgraph.json" }),
    exitCode: USAGE_ERROR,
  });
}

function readJson(path: string, choice: Choice): { graphs?: unknown; http?: { mount_prefix?: unknown } | null } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fileError("config", error, { folder: path, choice }) ?? error;
  }
  try {
    return (JSON.parse(text) ?? {}) as ReturnType<typeof readJson>;
  } catch (error) {
    throw new StartupError("config", `${path} is not JSON: ${reasonOf(error)}`, {
      remedy: editor(path),
      exitCode: USAGE_ERROR,
      cause: error,
    });
  }
}

function editor(path: string): string {
  return `\${EDITOR:-vi} ${shellWord(path)}`;
}

/**
 * The folder for data and logs: below the project unless given. It need not exist.
 * @throws StartupError when there is no such project.
 */
export function stateFolder(choice: Choice): string {
  if (choice.state !== undefined) return resolve(userFolder(), choice.state);
  return join(dirname(configPath(choice)), ".flotilla");
}

/** Makes the folder for data and logs. It keeps itself out of git. */
export function prepareStateFolder(choice: StartChoice): string {
  const folder = stateFolder(choice);
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, ".gitignore"), "*\n");
  } catch (error) {
    throw fileError("state", error, { folder, choice }) ?? error;
  }
  return realpathSync(folder);
}

/**
 * What to say when the system refuses to touch a file that a start needs; undefined when that is not what happened.
 * @param folder what would have to belong to the user, as a whole
 */
export function fileError(
  part: string,
  error: unknown,
  { folder, choice }: { folder: string; choice: StartChoice },
): StartupError | undefined {
  const refusal = fileRefusal(error);
  if (refusal === undefined) return undefined;
  const existing = nearestExisting(folder);
  const remedies: Record<string, string> = {
    EACCES: `sudo chown -R "$(id -un)" ${shellWord(existing)}`,
    EPERM: `sudo chown -R "$(id -un)" ${shellWord(existing)}`,
    ENOSPC: `df -h ${shellWord(existing)}   (make room there)`,
    EDQUOT: `df -h ${shellWord(existing)}   (make room there)`,
  };
  const elsewhere = npmStart({ ...choice, state: "some/other/folder" });
  const first = remedies[refusal.code];
  return new StartupError(part, refusal.why, {
    remedy: first === undefined ? elsewhere : `${first}\nor ${elsewhere}`,
    cause: error,
  });
}

function nearestExisting(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : nearestExisting(dirname(path));
}
