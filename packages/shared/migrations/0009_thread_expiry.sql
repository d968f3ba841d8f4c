-- Time to live of threads, what is kept of a thread that is reduced to its newest state, copies of busy threads, and indexes in
-- the order in which lists of threads are read.

-- A thread that nobody gives a time to live gets the default of the gateway that makes it, which the statement around create_run
-- sets for its own transaction: the default holds for threads that are made from then on, never for those that are there.
alter table threads
  add column ttl_strategy text default nullif(current_setting('flotilla.ttl_strategy', true), '')
    check (ttl_strategy in ('delete', 'keep_latest')),
  add column ttl_minutes double precision default nullif(current_setting('flotilla.ttl_minutes', true), '')::double precision
    check (ttl_minutes > 0),
  add column kept_latest_at timestamptz, -- the last sweep that reduced the thread to its newest state
  add constraint ttl_whole check ((ttl_strategy is null) = (ttl_minutes is null));

-- When a thread expires: its life is counted from its last change, be it a run, an edit or a patch. Immutable indeed: an interval
-- of seconds alone does not depend on the time zone.
create function thread_expiry(p_updated_at timestamptz, p_minutes double precision) returns timestamptz
language sql immutable parallel safe as $$ select p_updated_at + make_interval(secs => p_minutes * 60) $$;

-- What a sweep looks at. A thread that was reduced and has not changed since is not in it, or every sweep would pass over all of
-- them. Threads without a time to live cost nothing here.
create index threads_expiring on threads (thread_expiry(updated_at, ttl_minutes))
  where ttl_minutes is not null and not temporary
    and (ttl_strategy = 'delete' or kept_latest_at is null or kept_latest_at < updated_at);

-- Lists of threads are read in the order of an index, page by page, forwards or backwards. Those of 0005 were in no order that a
-- search asks for (`nulls first`, and thread_id the other way round): each page sorted every thread of the tenant. The threads of
-- runs without one leave the indexes when their run ends; a page would read past thousands of them.
drop index threads_of_tenant_updated;
drop index threads_of_tenant_created;
create index threads_updated on threads (tenant_id, updated_at, thread_id) where (not temporary or status = 'busy');
create index threads_created on threads (tenant_id, created_at, thread_id) where (not temporary or status = 'busy');
-- What somebody is to look at is a small part of all threads, and is looked for often.
create index threads_to_look_at on threads (tenant_id, status, updated_at desc, thread_id) where status in ('interrupted', 'error');

-- Reduces a thread to its newest state: what a later run can still read. The caller holds the thread's row, and no run of it is in
-- flight.
--   The newest checkpoint is kept of the graph and of subgraphs that keep their state; of a subgraph whose namespace holds the id
--   of a task (`name:task`), only if the task belongs to the graph's newest checkpoint: it waits inside.
--   A state that is told as changes since an earlier one (LangGraph's delta channels) needs its ancestors: all of a namespace
--   that ever had one is kept.
create function keep_latest_state(p_tenant text, p_thread text) returns void
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
  root text := (select checkpoint_id from checkpoints where thread_id = ct and checkpoint_ns = '' order by seq desc limit 1);
begin
  with latest as materialized (
    select distinct on (checkpoint_ns) checkpoint_ns, checkpoint_id, metadata from checkpoints
     where thread_id = ct order by checkpoint_ns, seq desc),
  told as materialized (
    select distinct checkpoint_ns from checkpoints
     where thread_id = ct and metadata ?| array['delta_writes_versioned', 'counters_since_delta_snapshot']),
  needed as materialized (
    select l.checkpoint_ns, l.checkpoint_id, t.checkpoint_ns is not null as whole
      from latest l left join told t using (checkpoint_ns)
     where position(':' in l.checkpoint_ns) = 0 or coalesce(l.metadata #>> array['parents', ''], root) = root)
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

-- Erases a thread or reduces it to its newest state, as a client asks: nothing happens while a run of it is pending or running.
-- Returns {outcome: missing | in_flight | kept | deleted, run_ids}.
create function prune_thread(p_tenant text, p_thread text, p_strategy text) returns jsonb
language plpgsql as $$
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread and not temporary for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  if has_run_in_flight(p_tenant, p_thread) then return jsonb_build_object('outcome', 'in_flight'); end if;
  if p_strategy = 'delete' then return delete_thread(p_tenant, p_thread); end if;
  perform keep_latest_state(p_tenant, p_thread);
  return jsonb_build_object('outcome', 'kept');
end $$;
drop function keep_latest_checkpoint(text, text);

-- The same to a thread whose time has come, by what its row says under the lock: it may have come to life after the sweep has
-- listed it. A row that somebody holds is in use, and is not waited for.
-- Returns {outcome: in_use | in_flight | kept | deleted, run_ids}.
create function expire_thread(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
declare
  t threads%rowtype;
  pruned jsonb;
begin
  select * into t from threads where tenant_id = p_tenant and thread_id = p_thread and not temporary for update skip locked;
  if not found or t.ttl_minutes is null or thread_expiry(t.updated_at, t.ttl_minutes) > clock_timestamp()
     or (t.ttl_strategy = 'keep_latest' and t.kept_latest_at >= t.updated_at) then
    return jsonb_build_object('outcome', 'in_use');
  end if;
  pruned := prune_thread(p_tenant, p_thread, t.ttl_strategy);
  if pruned ->> 'outcome' = 'kept' then
    update threads set kept_latest_at = clock_timestamp() where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  return pruned;
end $$;

-- Copies a thread: its row, and all checkpoints with blobs and pending writes, in the order in which they were stored: a question
-- that waits there waits in the copy too. The copy is the thread as its settled runs left it: what a run in flight has written so
-- far is left out, and what that has overwritten is taken from the images that a rollback would use. The source's row is held, so
-- no run begins or is settled in between. The copy's life begins now, and lasts as long as the source's would.
-- Returns whether the source exists.
create or replace function copy_thread(p_tenant text, p_source text, p_target text) returns boolean
language plpgsql as $$
declare
  source text := checkpoint_thread_id(p_tenant, p_source);
  target text := checkpoint_thread_id(p_tenant, p_target);
  own jsonb := jsonb_build_object('thread_id', p_target);
  live uuid[];
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
  -- One statement, one snapshot: a run in flight goes on writing meanwhile. seq, which says what is newest, is filled anew.
  with blobs as (
    insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select target, checkpoint_ns, channel, version, type, blob from checkpoint_blobs
     where thread_id = source and (run_id is null or run_id <> all (live))),
  writes as (
    insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path)
    select target, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path from checkpoint_writes
     where thread_id = source and (run_id is null or run_id <> all (live))
    union all
    select target, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob, task_path from overwritten_writes
     where thread_id = source and overwritten_by = any (live) and (run_id is null or run_id <> all (live))
    on conflict do nothing),
  points as (
    select checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata, seq from checkpoints
     where thread_id = source and (run_id is null or run_id <> all (live))
    union all
    select checkpoint_ns, checkpoint_id, parent_checkpoint_id, null, checkpoint, metadata, seq from overwritten_checkpoints
     where thread_id = source and overwritten_by = any (live) and (run_id is null or run_id <> all (live)))
  insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    select target, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,
           case when metadata ? 'thread_id' then metadata || own else metadata end
      from points order by seq
    on conflict do nothing;
  return true;
end $$;
