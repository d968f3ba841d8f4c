import { setTimeout as sleep } from "node:timers/promises";

/** Resolves after `ms`; does not keep the process alive. */
export async function delay(ms: number): Promise<void> {
  await sleep(ms, undefined, { ref: false });
}

/** Resolves when the function given to `register` is called, or when the signal is aborted. */
export function once(register: (notify: () => void) => void, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done, { once: true });
    register(done);
  });
}

/** As `once`, and after `ms` at the latest: a wake-up may be lost. */
export async function wakeOrPoll(register: (wake: () => void) => void, ms: number, signal: AbortSignal): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await once((wake) => {
    register(wake);
    timer = setTimeout(wake, ms);
  }, signal);
  clearTimeout(timer);
}
