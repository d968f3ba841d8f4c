-- Threads of the Agent Server API: their time to live, what a pruned one keeps, and copies that leave runs in flight out.

alter table threads
  add column ttl_strategy   text check (ttl_strategy in ('delete', 'keep_latest')), -- null: the server's default applies
  add column ttl_minutes    double precision check (ttl_minutes > 0),
  add column kept_latest_at timestamptz, -- the last sweep that reduced the thread to its newest state
  add constraint ttl_whole check ((ttl_strategy is null) = (ttl_minutes is null));

-- Lists are read in the order of an index, page by page, in either direction: those before had the order of neither.
create index threads_created on threads (tenant_id, created_at, thread_id);
create index threads_updated on threads (tenant_id, updated_at, thread_id);
drop index threads_of_tenant_created;
drop index threads_of_tenant_updated;
-- What somebody is to look at is a small part of all threads, and is looked for often.
create index threads_to_look_at on threads (tenant_id, status, updated_at desc, thread_id) where status in ('interrupted', 'error');

-- When a thread expires: its life is counted from its last change, be it a run, an edit or a patch. Immutable indeed: an
-- interval of seconds alone does not depend on the time zone.
create function thread_expiry(p_updated_at timestamptz, p_minutes double precision) returns timestamptz
language sql immutable parallel safe as $$ select p_updated_at + make_interval(secs => p_minutes * 60) $$;

-- What a sweep looks at. A thread that was reduced to its newest state and has not changed since is in neither of the first
-- two, or every sweep would pass over all of them; the third is for a default that became 'delete'.
create index threads_own_expiry on threads (thread_expiry(updated_at, ttl_minutes))
  where ttl_minutes is not null and (ttl_strategy = 'delete' or kept_latest_at is null or kept_latest_at < updated_at);
create index threads_default_expiry on threads (updated_at)
  where ttl_minutes is null and (kept_latest_at is null or kept_latest_at < updated_at);
create index threads_kept_latest on threads (updated_at) where ttl_minutes is null and kept_latest_at >= updated_at;

-- Reduces a thread to its newest state: what a later run can still read. The caller holds the thread's row, and no run of it
-- is in flight.
--   The newest checkpoint is kept of the graph and of subgraphs that keep their state; of a subgraph whose namespace holds
--   the id of a task (`name:task`), only if the task belongs to the graph's newest checkpoint: it waits inside.
--   A state that is told as changes since an earlier one (LangGraph's delta channels) needs its ancestors: all is kept.
create function keep_latest_state(p_tenant text, p_thread text) returns void
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
  root text := (select checkpoint_id from checkpoints where thread_id = ct and checkpoint_ns = '' order by seq desc limit 1);
begin
  with latest as materialized (
    select distinct on (checkpoint_ns) checkpoint_ns, checkpoint_id from checkpoints
     where thread_id = ct order by checkpoint_ns, seq desc),
  needed as materialized (
    select l.*, k.metadata ?| array['delta_writes_versioned', 'counters_since_delta_snapshot'] as whole
      from latest l join checkpoints k on k.thread_id = ct and k.checkpoint_ns = l.checkpoint_ns and k.checkpoint_id = l.checkpoint_id
     where position(':' in l.checkpoint_ns) = 0 or coalesce(k.metadata #>> array['parents', ''], root) = root)
  delete from checkpoints k where k.thread_id = ct and not exists (
    select 1 from needed n where n.checkpoint_ns = k.checkpoint_ns and (n.whole or n.checkpoint_id = k.checkpoint_id));
  -- Until format 4 the sends of a step are writes of the parent checkpoint.
  delete from checkpoint_writes w where w.thread_id = ct and not exists (
    select 1 from checkpoints k where k.thread_id = ct and k.checkpoint_ns = w.checkpoint_ns
       and (k.checkpoint_id = w.checkpoint_id
            or (k.parent_checkpoint_id = w.checkpoint_id and w.channel = '__pregel_tasks' and (k.checkpoint ->> 'v')::int < 4)));
  with referred as materialized (
    select c.checkpoint_ns, v.key, v.value from checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v where c.thread_id = ct)
  delete from checkpoint_blobs b where b.thread_id = ct and not exists (
    select 1 from referred x where x.checkpoint_ns = b.checkpoint_ns and x.key = b.channel and x.value = b.version);
  update checkpoints k set parent_checkpoint_id = null
   where k.thread_id = ct and k.parent_checkpoint_id is not null and (k.checkpoint ->> 'v')::int >= 4 and not exists (
    select 1 from checkpoints p where p.thread_id = ct and p.checkpoint_ns = k.checkpoint_ns and p.checkpoint_id = k.parent_checkpoint_id);
end $$;

-- Deletes a thread or reduces it to its newest state, unless a run of it is pending or running. With p_unchanged_since only if
-- the row has not changed since: a sweep must not take what came to life after it looked.
-- Returns {outcome: missing | changed | in_flight | kept | deleted, run_ids}.
create function prune_thread(p_tenant text, p_thread text, p_strategy text, p_unchanged_since timestamptz) returns jsonb
language plpgsql as $$
declare
  t threads%rowtype;
begin
  select * into t from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  if t.updated_at <> p_unchanged_since then return jsonb_build_object('outcome', 'changed'); end if;
  if has_run_in_flight(p_tenant, p_thread) then return jsonb_build_object('outcome', 'in_flight'); end if;
  if p_strategy = 'delete' then return delete_thread(p_tenant, p_thread); end if;
  perform keep_latest_state(p_tenant, p_thread);
  if p_unchanged_since is not null then
    update threads set kept_latest_at = clock_timestamp() where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  return jsonb_build_object('outcome', 'kept');
end $$;

-- Copies a thread with its whole history, pending writes included: a question that waits there waits in the copy too.
-- The copy is the thread as its settled runs left it: what a run in flight has written so far is left out, and what it has
-- overwritten is taken from the images that a rollback would use. Checkpoint, task and interrupt ids stay: none of them
-- holds the thread's. Returns whether the source exists.
create or replace function copy_thread(p_tenant text, p_source text, p_target text) returns boolean
language plpgsql as $$
declare
  from_ct text := checkpoint_thread_id(p_tenant, p_source);
  to_ct text := checkpoint_thread_id(p_tenant, p_target);
  live uuid[];
  own jsonb := jsonb_build_object('thread_id', p_target);
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_source for update;
  if not found then return false; end if;
  live := array(select run_id from runs where tenant_id = p_tenant and thread_id = p_source and status = 'running')
       || array(select run_id from runs where tenant_id = p_tenant and thread_id = p_source and status = 'pending' and attempt > 0);
  insert into threads (tenant_id, thread_id, graph_id, status, settled_status, metadata, config, "values", interrupts, error,
                       state_updated_at, state_stale_at, ttl_strategy, ttl_minutes)
    select tenant_id, p_target, graph_id, settled_status, settled_status, metadata || own, config, "values", interrupts, error,
           state_updated_at, state_stale_at, ttl_strategy, ttl_minutes
      from threads where tenant_id = p_tenant and thread_id = p_source;
  -- One statement, one snapshot: a run in flight goes on writing meanwhile. seq, which says what is newest, is filled anew
  -- in the order of the source's.
  with blobs as (
    insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select to_ct, checkpoint_ns, channel, version, type, blob from checkpoint_blobs
     where thread_id = from_ct and (run_id is null or run_id <> all (live))),
  writes as (
    insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)
    select to_ct, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path from checkpoint_writes
     where thread_id = from_ct and (run_id is null or run_id <> all (live))
    union all
    select to_ct, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path from overwritten_writes
     where thread_id = from_ct and overwritten_by = any (live)),
  points as (
    select checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, seq from checkpoints
     where thread_id = from_ct and (run_id is null or run_id <> all (live))
    union all
    select checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata, seq from overwritten_checkpoints
     where thread_id = from_ct and overwritten_by = any (live))
  insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    select to_ct, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint,
           case when metadata ? 'thread_id' then metadata || own else metadata end
      from points order by seq;
  return true;
end $$;

drop function keep_latest_checkpoint(text, text);
