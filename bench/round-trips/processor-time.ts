import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks a second in /proc: 100 wherever Linux runs Node. */
const TICKS = 100;

/** Processor time of a process, its threads and its children, those that have ended included, in ms. Linux only. */
export function processorMs(pid: number): number {
  const stats = allStats();
  const sum = (parent: number): number =>
    stats.filter((one) => one.parent === parent).reduce((total, one) => total + one.ticks + sum(one.pid), 0);
  const own = stats.find((one) => one.pid === pid);
  return own === undefined ? NaN : ((own.ticks + own.endedTicks + sum(pid)) * 1000) / TICKS;
}

interface Stat {
  pid: number;
  parent: number;
  ticks: number;
  /** of children that have ended */
  endedTicks: number;
}

function allStats(): Stat[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const text = readFileSync(`/proc/${name}/stat`, "utf8");
        const fields = text
          .slice(text.lastIndexOf(")") + 2)
          .split(" ")
          .map(Number); // the name may hold blanks
        const [, parent = 0] = fields;
        const ticks = (fields[11] ?? 0) + (fields[12] ?? 0);
        return [{ pid: Number(name), parent, ticks, endedTicks: (fields[13] ?? 0) + (fields[14] ?? 0) }];
      } catch {
        return []; // it has ended meanwhile
      }
    });
}
