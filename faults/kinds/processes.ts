import { setTimeout as delay } from "node:timers/promises";
import { runsOf, type FaultContext, type FaultKind, type Injected } from "./fault.ts";

/** Faults of one process: of workers, and of gateways, which hold no runs. */

async function whileStopped({ fleet, node, random }: FaultContext, ms: [number, number]): Promise<Injected> {
  const { pid, name } = node.process;
  const affected = await runsOf(fleet, pid);
  const at = Date.now();
  node.process.signal("SIGSTOP");
  await delay(random.int(...ms));
  node.process.signal("SIGCONT");
  return { target: name, pid, at, healedAt: Date.now(), affected };
}

async function ended({ fleet, node }: FaultContext, signal: "SIGKILL" | "SIGTERM"): Promise<Injected> {
  const { pid, name } = node.process;
  const affected = await runsOf(fleet, pid);
  const at = Date.now();
  await node.process.replace(signal);
  return { target: name, pid, at, healedAt: Date.now(), affected };
}

export const WORKER_FAULTS: readonly FaultKind[] = [
  { name: "worker killed", weight: 10, recoversFrom: "injection", inject: (context) => ended(context, "SIGKILL") },
  { name: "worker drained", weight: 5, recoversFrom: "hand-over", inject: (context) => ended(context, "SIGTERM") },
  {
    name: "worker asleep beyond its lease",
    weight: 6,
    recoversFrom: "injection",
    inject: (context) => whileStopped(context, [6_500, 11_000]),
  },
  {
    name: "worker asleep for a moment",
    weight: 3,
    recoversFrom: "healing",
    inject: (context) => whileStopped(context, [500, 3_000]),
  },
];

export const GATEWAY_FAULTS: readonly FaultKind[] = [
  { name: "gateway killed", weight: 6, recoversFrom: "healing", inject: (context) => ended(context, "SIGKILL") },
  { name: "gateway drained", weight: 4, recoversFrom: "healing", inject: (context) => ended(context, "SIGTERM") },
  {
    name: "gateway asleep",
    weight: 3,
    recoversFrom: "healing",
    inject: (context) => whileStopped(context, [500, 9_000]),
  },
];
