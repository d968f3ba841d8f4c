/** A part that could not start: which one, why, and the exact command that mends it. Shown without a stack trace. */
export class StartupError extends Error {
  readonly part: string;
  readonly remedy: string | undefined;
  readonly logTail: string | undefined;
  readonly exitCode: number;

  constructor(
    part: string,
    why: string,
    more: { remedy?: string; logTail?: string; exitCode?: number; cause?: unknown } = {},
  ) {
    super(why, { cause: more.cause });
    this.name = "StartupError";
    this.part = part;
    this.remedy = more.remedy;
    this.logTail = more.logTail;
    this.exitCode = more.exitCode ?? 1;
  }
}

/** The text of anything that was thrown. A connection that was tried at several addresses fails with a text for each. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(reasonOf).join("; ");
  return error instanceof Error ? error.message : String(error);
}

const REFUSALS: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  ENOTDIR: "there is a file where a folder should be",
  EEXIST: "there is a file where a folder should be",
  EISDIR: "it is a folder",
  ENOENT: "there is no such file or folder",
};

/** Why the system refused to touch a file, in words; undefined when it is another error. */
export function fileRefusal(error: unknown): { why: string; code: string } | undefined {
  const { code = "", path } = error as NodeJS.ErrnoException;
  const reason = REFUSALS[code];
  return reason === undefined || path === undefined ? undefined : { why: `${path}: ${reason}`, code };
}
