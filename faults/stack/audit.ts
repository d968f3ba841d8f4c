import type { Pool } from "pg";
import type { HistoryWriter } from "../history/history.ts";
import type { CheckpointLine, EffectLine, RunLine, ThreadLine, TransitionLine } from "../history/lines.ts";

/**
 * A trigger on the campaign's own database that notes each change of a run's state. The rows themselves show only how it
 * ended; whether it ended twice, or two runs of a thread overlapped, shows in the notes alone.
 */
const TRIGGER = /* sql */ `
create table campaign_transitions (
  n bigint generated always as identity primary key, run_id uuid, tenant_id text, thread_id text, seq bigint,
  was text, became text, attempt int, holder text, at timestamptz default clock_timestamp());
create function campaign_note() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' then
    insert into campaign_transitions (run_id, tenant_id, thread_id, seq, was, became, attempt, holder)
      values (old.run_id, old.tenant_id, old.thread_id, old.seq, old.status, 'deleted', old.attempt, old.holder);
  elsif tg_op = 'INSERT' or old.status is distinct from new.status or old.attempt is distinct from new.attempt then
    insert into campaign_transitions (run_id, tenant_id, thread_id, seq, was, became, attempt, holder)
      values (new.run_id, new.tenant_id, new.thread_id, new.seq, case when tg_op = 'UPDATE' then old.status end, new.status, new.attempt, new.holder);
  end if;
  return null;
end $$;
create trigger campaign_note after insert or update or delete on runs for each row execute function campaign_note();`;

export async function installAudit(pool: Pool): Promise<void> {
  await pool.query(TRIGGER);
}

const MS = (column: string): string => `(extract(epoch from ${column}) * 1000)::double precision`;

/** Copies what Postgres knows at the end into the history. */
export async function copyTables(pool: Pool, history: HistoryWriter): Promise<void> {
  const copy = async <T extends { type: string }>(type: T["type"], text: string): Promise<void> => {
    const { rows } = await pool.query<Omit<T, "type">>(text);
    for (const row of rows) history.add({ type, ...row } as never);
  };
  await copy<TransitionLine>(
    "transition",
    `select n::int, run_id as run, tenant_id as tenant, thread_id as thread, seq::int, was, became, attempt, holder, ${MS("at")} as at
       from campaign_transitions order by n`,
  );
  await copy<RunLine>(
    "run",
    `select run_id as run, tenant_id as tenant, thread_id as thread, seq::int, status, attempt, losses, error from runs order by seq`,
  );
  await copy<CheckpointLine>(
    "checkpoint",
    `select thread_id as thread, checkpoint_id as id, parent_checkpoint_id as parent, run_id as run, (metadata ->> 'attempt')::int as attempt,
            metadata ->> 'source' as source, (metadata ->> 'step')::int as step
       from checkpoints where checkpoint_ns = '' order by seq`,
  );
  await copy<ThreadLine>("thread", `select tenant_id as tenant, thread_id as thread, status, "values" from threads`);
}

/** Copies what nodes noted of themselves. A line that was cut off by a death says nothing. */
export function copyEffects(text: string, history: HistoryWriter): void {
  for (const line of text.split("\n").slice(0, -1)) history.add(JSON.parse(line) as EffectLine);
}
