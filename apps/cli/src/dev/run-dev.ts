import { findFreePort, portRefusal } from "../stack/free-port.ts";
import { StartupError } from "../stack/startup-error.ts";
import { describeRunning } from "./banner.ts";
import { DEFAULT_PORT, npmStart, type StartChoice } from "./commands.ts";
import { takeDevLock, type DevLock } from "./dev-lock.ts";
import { DevStack } from "./dev-stack.ts";
import { ALREADY_RUNNING, PART_FAILED, PORT_IN_USE } from "./exit-codes.ts";
import { endLeftoverProcesses } from "./leftover-processes.ts";
import { Progress } from "./progress.ts";
import { gatewayUrl, fileError, prepareStateFolder, readProject } from "./project.ts";
import { notesFile } from "./running-start.ts";
import { givenAddress, withoutPassword, type GivenAddress } from "./settings.ts";
import { watchStopSignals, type StopRequest } from "./stop-signals.ts";

export interface DevOptions extends StartChoice {
  readonly port: number;
  readonly workers: number;
  readonly verbose: boolean;
}

/** Brings everything up, keeps it up until told to stop, takes everything down. Throws what could not start. */
export async function runDev(options: DevOptions): Promise<void> {
  process.title = "flotilla";
  const project = readProject(options);
  const given = { postgres: givenAddress("postgres", process.env), redis: givenAddress("redis", process.env) };
  const stateFolder = prepareStateFolder(options);
  const port = options.port || (await findFreePort());
  const url = gatewayUrl(port, project, process.env);
  const { workers } = options;
  const lock = takeLock(stateFolder, url, given.postgres, options);
  const progress = new Progress();
  const stack = new DevStack({
    choice: options,
    project,
    given,
    stateFolder,
    port,
    verbose: options.verbose,
    progress,
    lock,
  });
  const stopRequested = new Promise<StopRequest>((resolve) => {
    watchStopSignals((request) => {
      resolve(request);
      stack.press(request.urgency);
    });
  });

  try {
    await endLeftoverProcesses(lock.leftovers, progress);
    await checkPort(port, options);
    const start = stack.start();
    const started = await Promise.race([start.then(() => true), stopRequested.then(() => false)]);
    if (started) {
      const { databases } = stack;
      console.log(await describeRunning({ choice: options, url, workers, databases, project, stateFolder }));
    }
    start.catch(() => {}); // ended before it was ready, because we are stopping
    const { reason } = await stopRequested;
    progress.print(`\n${reason}: stopping`);
  } finally {
    const inOrder = await stack.stop();
    lock.release();
    if (!inOrder) process.exitCode = PART_FAILED;
  }
}

function takeLock(
  stateFolder: string,
  url: string,
  database: GivenAddress | undefined,
  { config, workers }: DevOptions,
): DevLock {
  const lock = lockOf(stateFolder, url, database, { config, workers });
  if (!("heldBy" in lock)) return lock;
  const { launcher, url: runningUrl } = lock.heldBy;
  const other = Number(new URL(runningUrl).port) + 1;
  throw new StartupError("start", `Flotilla runs in this folder already: ${runningUrl} (pid ${launcher.pid})`, {
    remedy:
      `kill ${launcher.pid}   (or Ctrl-C where it runs)\n` +
      `or a second one beside it: ${npmStart({ config, workers, port: other, state: `.flotilla-${other}` })}`,
    exitCode: ALREADY_RUNNING,
  });
}

function lockOf(
  folder: string,
  url: string,
  database: GivenAddress | undefined,
  choice: StartChoice,
): ReturnType<typeof takeDevLock> {
  try {
    return takeDevLock(notesFile(folder), url, database && withoutPassword(database.address));
  } catch (error) {
    throw fileError("state", error, { folder, choice }) ?? error;
  }
}

async function checkPort(port: number, options: DevOptions): Promise<void> {
  const refusal = await portRefusal(port);
  if (refusal === undefined) return;
  const why = refusal === "EADDRINUSE" ? "is in use by another program" : `cannot be listened on (${refusal})`;
  throw new StartupError("gateway", `port ${port} on 127.0.0.1 ${why}`, {
    remedy: npmStart({ ...options, port: await nextFreePort(port) }),
    exitCode: PORT_IN_USE,
  });
}

/** The first free port above the one that was wanted and those that only root may take. */
async function nextFreePort(taken: number): Promise<number> {
  for (let port = Math.max(taken + 1, DEFAULT_PORT); port <= 65_535; port += 1) {
    if ((await portRefusal(port)) === undefined) return port;
  }
  return findFreePort();
}
