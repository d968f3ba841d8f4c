-- As in 0003, but that the Idempotency-Key of the run stays for its 24 hours. It went with the run, and a repetition of the
-- submission that was still under way (a gateway that had hung for some seconds) made the run anew, after somebody had taken it back.
--
-- Deletes a run with everything it wrote and restores what it overwrote. The caller holds thread and run FOR UPDATE.
create or replace function rollback_run(p_run uuid, p_tenant text, p_thread text) returns void
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
begin
  delete from runs where run_id = p_run; -- run rows go before checkpoint rows
  delete from checkpoints where thread_id = ct and run_id = p_run;
  delete from checkpoint_writes where thread_id = ct and run_id = p_run;
  insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id, task_path)
    select thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, run_id, task_path
      from overwritten_writes where overwritten_by = p_run and thread_id = ct
    on conflict do nothing;
  insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, run_id, seq)
    select thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, run_id, seq
      from overwritten_checkpoints where overwritten_by = p_run and thread_id = ct
    on conflict do nothing;
  delete from overwritten_writes where overwritten_by = p_run;
  delete from overwritten_checkpoints where overwritten_by = p_run;
  -- What the remaining checkpoints refer to is collected once: asked per blob, a long thread would hold its locks for seconds.
  if exists (select 1 from checkpoint_blobs where thread_id = ct and run_id = p_run) then
    with referred as materialized (
      select c.checkpoint_ns, v.key, v.value from checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v where c.thread_id = ct)
    delete from checkpoint_blobs b where b.thread_id = ct and b.run_id = p_run and not exists (
      select 1 from referred x where x.checkpoint_ns = b.checkpoint_ns and x.key = b.channel and x.value = b.version);
  end if;
end $$;
