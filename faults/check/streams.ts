import type { History } from "../history/history.ts";
import type { StreamLine } from "../history/lines.ts";
import type { Violation } from "./violation.ts";

/** The ids of events that a gateway supplies in place of a dead worker: the last ones an attempt can have. */
const FIRST_CLOSING_N = 18_446_744_073_709_551_612n;

/** I4: over all its connections a client sees ids that only grow, no hole without a `gap`, and one `end`, which is the last. */
export function checkStreams(history: History): Violation[] {
  return history.stream.flatMap((stream) =>
    problemsOf(stream).map((what) => ({ invariant: "I4" as const, subject: stream.run, what })),
  );
}

export function problemsOf({ events }: Pick<StreamLine, "events">): string[] {
  const problems: string[] = [];
  const seen = events.map(parse);
  const ends = seen.filter(({ event }) => event === "end").length;
  if (ends !== 1) problems.push(`${ends} ends`);
  if (seen.at(-1)?.event !== "end") problems.push(`the last event is ${seen.at(-1)?.event ?? "missing"}`);
  let before: { attempt: number; n: bigint } | undefined;
  let announced = false;
  for (const { attempt, n, event } of seen) {
    if (event === "gap") announced = true;
    if (attempt === undefined || n === undefined) continue;
    if (before !== undefined) {
      if (attempt < before.attempt || (attempt === before.attempt && n <= before.n))
        problems.push(`id ${attempt}-${n} after ${before.attempt}-${before.n}`);
      const follows = attempt === before.attempt ? n === before.n + 1n : n === 1n;
      if (!follows && !announced && n < FIRST_CLOSING_N)
        problems.push(`a hole between ${before.attempt}-${before.n} and ${attempt}-${n}`);
    } else if (n !== 1n && !announced && n < FIRST_CLOSING_N) problems.push(`it begins with ${attempt}-${n}`);
    if (event !== "gap") announced = false;
    before = { attempt, n };
  }
  return problems;
}

function parse(text: string): { attempt?: number; n?: bigint; event: string } {
  const [id = "-", event = ""] = text.split(" ");
  const [attempt, n] = id.split("-");
  return attempt === "" || n === undefined || n === "" ? { event } : { attempt: Number(attempt), n: BigInt(n), event };
}
