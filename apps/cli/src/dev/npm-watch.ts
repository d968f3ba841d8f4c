import { readFileSync } from "node:fs";

const CHECK_MS = 250;

/**
 * Calls `onGone` when the npm that started us is gone. npm ends at once on SIGTERM and SIGHUP and tells nobody; we would
 * run on where no terminal and no supervisor could stop us any more. npm is our parent, or that of the `sh -c` it put in
 * between. Not called for a launcher that was started without npm: that one may outlive its shell (nohup).
 */
export function watchNpm(onGone: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const ancestors = npmAncestors();
  const timer = setInterval(() => {
    if (npmAncestors() === ancestors) return;
    clearInterval(timer);
    onGone();
  }, CHECK_MS);
  timer.unref();
}

function npmAncestors(): string {
  const shell = process.ppid;
  try {
    const isScriptShell = readFileSync(`/proc/${shell}/cmdline`, "utf8").split("\0")[1] === "-c";
    return isScriptShell ? `${shell} ${parentOf(shell)}` : `${shell}`;
  } catch {
    return `${shell}`; // no /proc: macOS, whose sh makes way for the command it runs
  }
}

function parentOf(pid: number): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
}
