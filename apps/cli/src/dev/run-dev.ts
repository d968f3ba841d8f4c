import { join } from "node:path";
import { findFreePort, isPortFree } from "../stack/free-port.ts";
import { StartupError } from "../stack/startup-error.ts";
import { describeRunning } from "./banner.ts";
import { takeDevLock, type DevLock } from "./dev-lock.ts";
import { DevStack } from "./dev-stack.ts";
import { ALREADY_RUNNING, PART_FAILED, PORT_IN_USE } from "./exit-codes.ts";
import { endLeftoverProcesses } from "./leftover-processes.ts";
import { Progress } from "./progress.ts";
import { prepareStateDirectory, readProject } from "./project.ts";
import { watchStopSignals, type StopRequest } from "./stop-signals.ts";

export interface DevOptions {
  readonly config?: string;
  readonly port: number;
  readonly workers: number;
  readonly state?: string;
  readonly verbose: boolean;
}

/** Brings everything up, keeps it up until told to stop, takes everything down. Throws what could not start. */
export async function runDev(options: DevOptions): Promise<void> {
  process.title = "flotilla";
  const project = readProject(options.config);
  const stateFolder = prepareStateDirectory(project, options.state);
  const port = options.port || (await findFreePort());
  const url = `http://127.0.0.1:${port}`;
  const { workers, verbose } = options;
  const lock = takeLock(join(stateFolder, "dev.json"), url);
  const progress = new Progress();
  const stack = new DevStack({ project, stateFolder, port, workers, verbose, progress, lock });
  const stopRequested = new Promise<StopRequest>((resolve) => {
    watchStopSignals((request) => {
      resolve(request);
      stack.press(request.urgency);
    });
  });

  try {
    await endLeftoverProcesses(lock.leftovers, progress);
    await checkPort(port);
    const start = stack.start();
    const started = await Promise.race([start.then(() => true), stopRequested.then(() => false)]);
    if (started) console.log(await describeRunning({ url, workers, databases: stack.databases, project, stateFolder }));
    start.catch(() => {}); // ended before it was ready, because we are stopping
    const { reason } = await stopRequested;
    progress.print(`\n${reason}: stopping`);
  } finally {
    const inOrder = await stack.stop();
    lock.release();
    if (!inOrder) process.exitCode = PART_FAILED;
  }
}

function takeLock(file: string, url: string): DevLock {
  const lock = takeDevLock(file, url);
  if (!("heldBy" in lock)) return lock;
  const { launcher, url: runningUrl } = lock.heldBy;
  const nextPort = Number(new URL(runningUrl).port) + 1;
  throw new StartupError("start", `Flotilla runs in this folder already: ${runningUrl} (pid ${launcher.pid})`, {
    remedy:
      `kill ${launcher.pid}   (or Ctrl-C where it runs)\n` +
      `or a second one beside it: npm start -- --port ${nextPort} --state .flotilla-${nextPort}`,
    exitCode: ALREADY_RUNNING,
  });
}

async function checkPort(port: number): Promise<void> {
  if (await isPortFree(port)) return;
  throw new StartupError("gateway", `port ${port} on 127.0.0.1 is in use by another program`, {
    remedy: `npm start -- --port ${await nextFreePort(port)}`,
    exitCode: PORT_IN_USE,
  });
}

async function nextFreePort(taken: number): Promise<number> {
  let port = taken + 1;
  while (!(await isPortFree(port))) port += 1;
  return port;
}
