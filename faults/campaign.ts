import { setTimeout as delay } from "node:timers/promises";
import type { HistoryWriter } from "./history/history.ts";
import type { FaultLine } from "./history/lines.ts";
import type { FaultKind } from "./kinds/fault.ts";
import { NETWORK_FAULTS } from "./kinds/networks.ts";
import { GATEWAY_FAULTS, WORKER_FAULTS } from "./kinds/processes.ts";
import { SERVER_FAULTS } from "./kinds/servers.ts";
import type { Random } from "./random.ts";
import type { Fleet, Node } from "./stack/fleet.ts";

/** One thing after the other happens in a lane; what happens in different lanes overlaps. */
export interface Lane {
  readonly name: string;
  readonly kinds: readonly FaultKind[];
  /** Whom it hits; one at a time, so that as many processes stay whole as there are lanes less than processes. */
  readonly nodes: readonly Node[];
  /** Rest between two faults, in ms. */
  readonly rest: [number, number];
}

/**
 * Two of three workers and one of two gateways may be in trouble at the same time, and a server as well.
 * @param only names of the kinds of fault that may happen
 */
export function lanesOf(fleet: Fleet, only = /(?:)/): Lane[] {
  const half = Math.ceil(fleet.workers.length / 2);
  const lanes: Lane[] = [
    {
      name: "workers",
      kinds: [...WORKER_FAULTS, ...NETWORK_FAULTS],
      nodes: fleet.workers.slice(0, half),
      rest: [300, 3_000],
    },
    {
      name: "other workers",
      kinds: [...WORKER_FAULTS, ...NETWORK_FAULTS],
      nodes: fleet.workers.slice(half),
      rest: [300, 4_000],
    },
    { name: "gateways", kinds: [...GATEWAY_FAULTS, ...NETWORK_FAULTS], nodes: fleet.gateways, rest: [500, 4_000] },
    { name: "servers", kinds: SERVER_FAULTS, nodes: fleet.nodes, rest: [4_000, 15_000] },
  ];
  return lanes
    .map((lane) => ({ ...lane, kinds: lane.kinds.filter(({ name }) => only.test(name)) }))
    .filter(({ kinds, nodes }) => kinds.length > 0 && nodes.length > 0);
}

export interface DisturbOptions {
  readonly fleet: Fleet;
  readonly lanes: readonly Lane[];
  readonly history: HistoryWriter;
  readonly random: Random;
  readonly stop: AbortSignal;
  onFault?(fault: FaultLine): void;
}

/** Does harm in all lanes until the signal; what was begun is healed before this returns. @returns how many faults there were. */
export async function disturb({ fleet, lanes, history, random, stop, onFault }: DisturbOptions): Promise<number> {
  let n = 0;
  const run = async (lane: Lane, mine: Random): Promise<void> => {
    while (!stop.aborted) {
      await delay(mine.int(...lane.rest), undefined, { signal: stop }).catch(() => {});
      if (stop.aborted) return;
      const [kind, node, own] = [mine.weighted(lane.kinds), mine.pick(lane.nodes), mine.fork()];
      const number = ++n;
      const injected = await kind.inject({ fleet, random: own, node }).catch((error: unknown) => {
        if (isAway(error)) return undefined; // Postgres is down just now: the next one
        throw new Error(`${kind.name} of ${node.process.name} could not be done`, { cause: error });
      });
      if (injected === undefined) continue;
      const fault: FaultLine = {
        type: "fault",
        n: number,
        kind: kind.name,
        recoversFrom: kind.recoversFrom,
        ...injected,
      };
      history.add(fault);
      onFault?.(fault);
    }
  };
  await Promise.all(lanes.map((lane) => run(lane, random.fork())));
  return n;
}

/** The campaign's own look at Postgres found it gone. */
function isAway(error: unknown): boolean {
  const code = String((error as { code?: unknown }).code ?? "");
  return /^(ECONN|EPIPE|57P|08|53300)/.test(code) || String(error).includes("Connection terminated");
}
