import { readFileSync } from "node:fs";
import type { Figure } from "../report/figure.ts";
import type { StackProcess } from "./private-stack.ts";

/** Goals for the peak, in MB. */
const PEAK_GOALS = { gateway: 220, worker: 300 };

/** Resident memory of gateway and workers: at the beginning, and the most there ever was. Linux only. */
export class MemoryWatch {
  readonly #processes: readonly StackProcess[];
  readonly #idle: ReadonlyMap<number, number>;

  constructor(processes: readonly StackProcess[]) {
    this.#processes = processes;
    this.#idle = new Map(processes.map(({ pid }) => [pid, residentMb(pid, "VmRSS")]));
  }

  /** The kernel keeps the peak of each process: nothing has to be sampled. */
  figures(): Figure[] {
    return this.#processes.flatMap(({ name, kind, pid }): Figure[] => [
      { name: `${name}, idle`, unit: "MB", value: this.#idle.get(pid) ?? NaN },
      { name: `${name}, peak`, unit: "MB", value: residentMb(pid, "VmHWM"), goal: { atMost: PEAK_GOALS[kind] } },
    ]);
  }
}

function residentMb(pid: number, field: "VmRSS" | "VmHWM"): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  } catch {
    return NaN;
  }
}
