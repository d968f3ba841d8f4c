import type { LocalServer } from "../stack/local-server.ts";
import { reasonOf } from "../stack/startup-error.ts";
import { describeExit, NodeProcess, type NodeProcessOptions } from "./node-process.ts";
import type { Life } from "./supervisor.ts";

/** The life of a database of ours. It knows one way to stop, so the signal does not matter. */
export function databaseLife(starting: Promise<LocalServer>): Life<LocalServer> {
  return {
    ready: starting,
    ended: starting.then((server) => server.exited, reasonOf),
    end: () => void starting.then((server) => server.stop()).catch(() => {}),
  };
}

/** The life of a gateway or worker. Who dies without having been ready says why in its last line. */
export function processLife(options: NodeProcessOptions): Life<string> & { readonly process: NodeProcess } {
  const process = new NodeProcess(options);
  let wasReady = false;
  process.ready.then(
    () => (wasReady = true),
    () => {},
  );
  return {
    process,
    ready: process.ready,
    ended: process.exited.then((exit) => {
      const lastWord = wasReady ? "" : process.lastWords(1);
      return [describeExit(exit), lastWord].filter(Boolean).join(": ");
    }),
    end: (signal) => process.kill(signal),
  };
}
