import type { DeadLetter, DeadLetterSummary } from "@flotilla/shared/runs/dead-letter-queries";
import { visibleRun } from "../runs/render-run.ts";

/** Dead letters as clients see them. */

export function visibleSummary({ ended_micros: _micros, retry_of, ...letter }: DeadLetterSummary): object {
  return { ...letter, ...(retry_of === null ? {} : { retry_of }) };
}

/** All that is kept of it. Unlike elsewhere the workers are named: who asks wants to find their logs. */
export function visibleDeadLetter(letter: DeadLetter): object {
  const { kwargs } = visibleRun(letter) as { kwargs: object };
  const { retry_of } = letter;
  return {
    run_id: letter.run_id,
    thread_id: letter.thread_id,
    assistant_id: letter.assistant_id,
    graph_id: letter.graph_id,
    status: letter.status,
    error: letter.error,
    ...(retry_of === null ? {} : { retry_of }),
    retries: letter.retries,
    created_at: letter.created_at,
    started_at: letter.started_at,
    ended_at: letter.ended_at,
    acknowledged_at: letter.acknowledged_at,
    checkpoint_id: letter.last_checkpoint_id,
    base_checkpoint_id: letter.base_checkpoint_id,
    attempts: attemptsOf(letter),
    log: logOf(letter),
    thread: { thread_id: letter.thread_id, ...letter.thread },
    assistant: {
      assistant_id: letter.assistant_id,
      graph_id: letter.graph_id,
      name: letter.assistant?.name ?? null,
      version: letter.assistant?.version ?? null,
    },
    metadata: letter.metadata,
    kwargs,
  };
}

/** The story with how the processes died. Of several starts that failed at one number the last death is known: it stands for the last of them. */
function attemptsOf({ story, deaths }: DeadLetter): object[] {
  return story.map((chapter, i) => {
    const claimed = chapter.ended !== "not_started";
    const isLast = !story
      .slice(i + 1)
      .some((later) => later.ended === chapter.ended && later.attempt === chapter.attempt);
    const death = deaths.find((one) => isLast && one.attempt === chapter.attempt && one.claimed === claimed);
    return {
      attempt: chapter.attempt,
      worker: chapter.holder ?? null,
      began_at: chapter.began ?? null,
      ended_at: chapter.at,
      ended: chapter.ended,
      reason: chapter.reason,
      checkpoint_id: chapter.checkpoint_id ?? null,
      process:
        death === undefined
          ? null
          : { exit_code: death.exit_code, signal: death.signal, out_of_memory: death.out_of_memory },
    };
  });
}

function logOf({ deaths }: DeadLetter): object | null {
  const last = deaths.findLast(({ lines }) => lines.length > 0);
  return last === undefined ? null : { attempt: last.attempt, lines: last.lines };
}
