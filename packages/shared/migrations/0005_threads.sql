-- Threads by the Agent Server API: search, and copies.
-- `values` has no index: a GIN index on the whole state would be written at every settle, and a search by state is narrowed
-- by tenant, status and metadata first.
create index threads_of_tenant_updated on threads (tenant_id, updated_at desc, thread_id);
create index threads_of_tenant_created on threads (tenant_id, created_at desc, thread_id);
create index threads_metadata on threads using gin (metadata jsonb_path_ops);

-- Copies a thread: its row, and all checkpoints with blobs and pending writes, in the order in which they were stored. The
-- source's row is held, so no attempt is settled in between; of a run in flight the copy has the steps that are stored, and
-- its status is that of the last settle. Returns whether the source exists.
create function copy_thread(p_tenant text, p_source text, p_target text) returns boolean
language plpgsql as $$
declare
  source text := checkpoint_thread_id(p_tenant, p_source);
  target text := checkpoint_thread_id(p_tenant, p_target);
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_source for update;
  if not found then return false; end if;
  insert into threads (tenant_id, thread_id, graph_id, status, settled_status, metadata, config, "values", interrupts, error,
                       state_updated_at, state_stale_at)
    select tenant_id, p_target, graph_id, settled_status, settled_status,
           metadata || jsonb_build_object('thread_id', p_target), config, "values", interrupts, error, state_updated_at,
           case when state_stale_at is not null or status = 'busy' then clock_timestamp() end
      from threads where tenant_id = p_tenant and thread_id = p_source;
  insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    select target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
           case when metadata ? 'thread_id' then metadata || jsonb_build_object('thread_id', p_target) else metadata end
      from checkpoints where thread_id = source order by seq;
  insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select target, checkpoint_ns, channel, version, type, blob from checkpoint_blobs where thread_id = source;
  insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)
    select target, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path
      from checkpoint_writes where thread_id = source;
  return true;
end $$;

-- Removes all of a thread's checkpoints but the newest of each namespace, with the writes and blobs that only they needed.
-- Returns false when there is no such thread, or a run of it is in flight.
create function keep_latest_checkpoint(p_tenant text, p_thread text) returns boolean
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  if not found or has_run_in_flight(p_tenant, p_thread) then return false; end if;
  delete from checkpoints c where c.thread_id = ct
     and c.seq < (select max(k.seq) from checkpoints k where k.thread_id = ct and k.checkpoint_ns = c.checkpoint_ns);
  delete from checkpoint_writes w where w.thread_id = ct and not exists (
    select 1 from checkpoints c where c.thread_id = ct and c.checkpoint_ns = w.checkpoint_ns and c.checkpoint_id = w.checkpoint_id);
  with referred as materialized (
    select c.checkpoint_ns, v.key, v.value from checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v where c.thread_id = ct)
  delete from checkpoint_blobs b where b.thread_id = ct and not exists (
    select 1 from referred x where x.checkpoint_ns = b.checkpoint_ns and x.key = b.channel and x.value = b.version);
  return true;
end $$;
