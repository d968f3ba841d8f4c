-- What is kept of threads that live on: the last checkpoints, as many as a setting says.

-- A trimming takes several transactions. It is marked from its first to its last, so that one whose process died in between is
-- found again, although nothing else says that blobs are left which no checkpoint refers to.
alter table threads add column trim_begun boolean not null default false;

-- Removes the oldest checkpoints of a thread but for the newest p_keep of the graph, with the writes and blobs that only they
-- needed: at most about p_limit rows of each kind in one call, so that a run that wants the thread waits for milliseconds however
-- long its history is. Returns in_use (nothing was done), more (call again) or done.
--   p_updated_at: the thread as the caller has seen it. Every run and edit changes it; what was decided about another is void.
--   Of subgraphs stays what belongs to a checkpoint that stays; of those that remember, the newest in any case.
--   Not for threads whose state is told as changes since an earlier one (LangGraph's delta channels): see is_told_as_changes.
create function trim_thread(p_tenant text, p_thread text, p_updated_at timestamptz, p_keep int, p_limit int) returns text
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
  t threads%rowtype;
  oldest_kept bigint;
  kept text[];
  removed bigint;
begin
  -- A row that somebody holds is in use, and is not waited for.
  select * into t from threads where tenant_id = p_tenant and thread_id = p_thread and not temporary for update skip locked;
  if not found or t.updated_at <> p_updated_at or has_run_in_flight(p_tenant, p_thread) then return 'in_use'; end if;
  select min(seq), array_agg(checkpoint_id) into oldest_kept, kept
    from (select seq, checkpoint_id from checkpoints where thread_id = ct and checkpoint_ns = '' order by seq desc limit p_keep) k;
  if oldest_kept is null then return 'done'; end if;

  with doomed as materialized (
    (select checkpoint_ns, checkpoint_id from checkpoints
      where thread_id = ct and checkpoint_ns = '' and seq < oldest_kept order by seq limit p_limit)
    union all
    (select k.checkpoint_ns, k.checkpoint_id from checkpoints k
      where k.thread_id = ct and k.checkpoint_ns > '' and k.metadata #>> array['parents', ''] <> all (kept)
        and (position(':' in k.checkpoint_ns) > 0 or k.seq < (
              select m.seq from checkpoints m where m.thread_id = ct and m.checkpoint_ns = k.checkpoint_ns order by m.seq desc limit 1))
      limit p_limit)),
  gone as (
    delete from checkpoints k using doomed d
     where k.thread_id = ct and k.checkpoint_ns = d.checkpoint_ns and k.checkpoint_id = d.checkpoint_id
    returning k.checkpoint_ns, k.checkpoint_id),
  unwritten as (
    delete from checkpoint_writes w using doomed d
     where w.thread_id = ct and w.checkpoint_ns = d.checkpoint_ns and w.checkpoint_id = d.checkpoint_id
       -- Until format 4 the sends of a step are writes of the parent checkpoint.
       and not (w.channel = '__pregel_tasks' and exists (
         select 1 from checkpoints k where k.thread_id = ct and k.checkpoint_ns = w.checkpoint_ns
            and (k.seq >= oldest_kept or k.checkpoint_ns > '')
            and k.parent_checkpoint_id = w.checkpoint_id and (k.checkpoint ->> 'v')::int < 4)))
  select count(*) into removed from gone;
  if removed > 0 and not t.trim_begun then
    update threads set trim_begun = true where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  if removed >= p_limit then return 'more'; end if;

  -- Only what is kept is left to refer to blobs, and no run is there to write some.
  with referred as materialized (
    select c.checkpoint_ns, v.key, v.value from checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v where c.thread_id = ct),
  orphans as materialized (
    select b.checkpoint_ns, b.channel, b.version from checkpoint_blobs b where b.thread_id = ct and not exists (
      select 1 from referred x where x.checkpoint_ns = b.checkpoint_ns and x.key = b.channel and x.value = b.version)
    limit p_limit),
  freed as (
    delete from checkpoint_blobs b using orphans o
     where b.thread_id = ct and b.checkpoint_ns = o.checkpoint_ns and b.channel = o.channel and b.version = o.version
    returning 1)
  select count(*) into removed from freed;
  if removed >= p_limit then return 'more'; end if;

  update checkpoints k set parent_checkpoint_id = null
   where k.thread_id = ct and k.parent_checkpoint_id is not null and (k.checkpoint ->> 'v')::int >= 4 and not exists (
    select 1 from checkpoints p where p.thread_id = ct and p.checkpoint_ns = k.checkpoint_ns and p.checkpoint_id = k.parent_checkpoint_id);
  update threads set trim_begun = false, kept_latest_at = case when p_keep = 1 then clock_timestamp() else kept_latest_at end
   where tenant_id = p_tenant and thread_id = p_thread and (trim_begun or p_keep = 1);
  return 'done';
end $$;

-- Whether a state of the thread is told as changes since an earlier one: its ancestors are needed.
create function is_told_as_changes(p_thread text) returns boolean
language sql stable as $$
  select exists (select 1 from checkpoints
                  where thread_id = p_thread and metadata ?| array['delta_writes_versioned', 'counters_since_delta_snapshot'])
$$;
