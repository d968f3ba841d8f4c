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

/** The text of anything that was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
