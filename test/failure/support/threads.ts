import type { Pool } from "@flotilla/shared/postgres/pool";

/** A copy of a thread with its whole history, as if the same runs had been made on it. Checkpoint and task ids stay. */
export async function copyThread(pool: Pool, from: string, to: string): Promise<void> {
  await pool.query(
    `insert into threads (tenant_id, thread_id, graph_id, status, settled_status, "values", interrupts)
     select tenant_id, $2, graph_id, status, settled_status, "values", interrupts from threads where thread_id = $1`,
    [from, to],
  );
  await pool.query(
    `insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata, run_id)
     select $2, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata, run_id
       from checkpoints where thread_id = $1 order by seq`,
    [from, to],
  );
  await pool.query(
    `insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id, task_path)
     select $2, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id, task_path from checkpoint_writes where thread_id = $1`,
    [from, to],
  );
  await pool.query(
    `insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob, run_id)
     select $2, checkpoint_ns, channel, version, type, blob, run_id from checkpoint_blobs where thread_id = $1`,
    [from, to],
  );
}
