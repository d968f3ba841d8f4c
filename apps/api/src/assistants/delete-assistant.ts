import { NotFound } from "@flotilla/shared/errors";
import { listThreadsOfAssistant } from "@flotilla/shared/threads/thread-queries";
import { deleteRunsOf, deleteThread, type CancelDeps } from "../runs/cancel-run.ts";
import type { Assistants } from "./assistants.ts";

const BATCH = 100;

/**
 * Deletes an assistant with its runs, which are stopped first, and, if asked, the threads whose metadata name it. All of these go
 * before it: when one of them cannot be deleted the assistant is still there and the request can be repeated.
 * @throws NotFound, Conflict for a thread or an assistant that keeps getting runs.
 */
export async function deleteAssistantOf(
  deps: CancelDeps & { assistants: Assistants },
  tenantId: string,
  assistantOrGraphId: string,
  { deleteThreads }: { deleteThreads: boolean },
): Promise<void> {
  const { assistant_id: assistantId } = await deps.assistants.require(tenantId, assistantOrGraphId);
  if (deleteThreads) await deleteThreadsOf(deps, tenantId, assistantId);
  await deleteRunsOf(deps, tenantId, assistantId);
  await deps.assistants.delete(tenantId, assistantId);
}

async function deleteThreadsOf(deps: CancelDeps, tenantId: string, assistantId: string): Promise<void> {
  for (;;) {
    const threadIds = await listThreadsOfAssistant(deps.pool, tenantId, assistantId, BATCH);
    for (const threadId of threadIds) {
      await deleteThread(deps, tenantId, threadId).catch((error: unknown) => {
        if (!(error instanceof NotFound)) throw error; // somebody else was faster
      });
    }
    if (threadIds.length < BATCH) return;
  }
}
