import { setTimeout as delay } from "node:timers/promises";
import { formatDuration, style } from "../terminal.ts";
import type { Supervisor } from "./supervisor.ts";

export interface DrainOptions {
  readonly graceSeconds: number;
  say(line: string): void;
}

export interface Drain {
  /** true when everything ended by itself */
  readonly done: Promise<boolean>;
  /** 2: tell them again, which means hurry, and kill soon; 3: kill now */
  press(urgency: number): void;
}

const REMINDER_MS = 2_000;
/** Processes know their grace period; who is this much later than it hangs. */
const TOLERANCE_MS = 5_000;
const HURRY_MS = 2_000;

/** Tells processes to drain and waits for them, saying for whom. */
export function drain(processes: readonly Supervisor<string>[], { graceSeconds, say }: DrainOptions): Drain {
  const startedAt = performance.now();
  const remaining = new Set(processes);
  let killed = false;
  let killAt = startedAt + graceSeconds * 1000 + TOLERANCE_MS;
  const killRemaining = (): void => {
    killed ||= remaining.size > 0;
    for (const one of remaining) void one.end("SIGKILL");
  };

  const ends = processes.map(async (one) => {
    await one.end("SIGTERM");
    remaining.delete(one);
    say(
      `${style("green", "✔")} ${one.name} stopped ${style("dim", `(${formatDuration(performance.now() - startedAt)})`)}`,
    );
  });
  const remind = async (): Promise<void> => {
    for (let nextReminder = startedAt + REMINDER_MS; remaining.size > 0; await delay(50)) {
      const now = performance.now();
      if (now > killAt) {
        say(`killing ${namesOf(remaining)}: no end after ${formatDuration(now - startedAt)}`);
        killRemaining();
        killAt = Infinity;
      } else if (now > nextReminder) {
        nextReminder += REMINDER_MS;
        say(`… waiting for ${namesOf(remaining)} to finish or hand over its runs (Ctrl-C again to hurry)`);
      }
    }
  };

  return {
    done: Promise.all([...ends, remind()]).then(() => !killed),
    press(urgency) {
      if (remaining.size === 0) return;
      say(urgency > 2 ? `killing ${namesOf(remaining)}` : `hurrying ${namesOf(remaining)}`);
      if (urgency > 2) return killRemaining();
      for (const one of remaining) void one.end("SIGTERM");
      killAt = Math.min(killAt, performance.now() + HURRY_MS);
    },
  };
}

function namesOf(processes: Iterable<Supervisor<string>>): string {
  return [...processes].map(({ name }) => name).join(", ");
}
