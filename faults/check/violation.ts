/** The invariants, as section "What is checked" of docs/reliability.md words them. */
export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6" | "I7" | "I8";

export interface Violation {
  readonly invariant: Invariant;
  /** What it is about: a run, a thread, a resource. */
  readonly subject: string;
  readonly what: string;
}

export type Check = (history: import("../history/history.ts").History) => Violation[];

/** Items by a key, in their order. */
export function groupBy<T>(items: readonly T[], key: (item: T) => string | null): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    if (name === null) continue;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}
