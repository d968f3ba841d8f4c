import { cpus, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/** What else the machine did just before a measurement. */
export interface MachineLoad {
  /** Load average over the last minute; what was measured before is in it. */
  load1: number;
  /** Share of all processors that was busy over the last second, with the stack at rest. */
  busy: number;
}

const QUIET = 0.1;

/** Waits until hardly anything else runs, at most `patienceSeconds`. */
export async function untilQuiet(patienceSeconds: number): Promise<MachineLoad> {
  const deadline = performance.now() + patienceSeconds * 1000;
  let busy = await busyShare(1_000);
  while (busy > QUIET && performance.now() < deadline) busy = await busyShare(1_000);
  return { load1: loadavg()[0] ?? NaN, busy };
}

async function busyShare(ms: number): Promise<number> {
  const before = processorTimes();
  await delay(ms);
  const after = processorTimes();
  return (after.busy - before.busy) / (after.all - before.all);
}

function processorTimes(): { busy: number; all: number } {
  const times = cpus().map((cpu) => cpu.times);
  const all = times.reduce((sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq, 0);
  return { busy: all - times.reduce((sum, { idle }) => sum + idle, 0), all };
}
