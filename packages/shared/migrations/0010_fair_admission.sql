-- Fair admission by tenant: 5,000 runs of one tenant do not delay ten of another.
--
-- The queue in Redis is first in, first out, so who fills it first has every slot until it is empty. Hence it is never filled by
-- one tenant: of each tenant at most so many runs are *admitted* (released_at: on the queue and not claimed yet), the others that
-- could run are *held* here (held_at). A claim makes room, and in the same call the tenant's longest held run takes it. Tenants
-- with a backlog have equally many runs on the queue and so get equally many slots; a newcomer waits behind the others' windows,
-- not behind their backlogs; a tenant alone always has a full window on the queue, so it gets every slot there is.
--
--   pending, not the head of its thread, or not due      released_at, held_at null
--   runnable and held                                    held_at = since when it is runnable
--   runnable and admitted                                released_at = since when it is runnable; dispatched_at: on the queue
--
-- * Only heads of threads are held, and who is held stays the head: nothing of its thread runs, what begins first is the head, and
--   no run can be accepted in front of it. The order within a thread is not touched. A run that has begun (handed over, or lost by
--   its worker) is never held.
-- * The window is a soft bound. Counting takes no lock, so submissions that count at once overshoot by as many; a claim admits
--   nothing until that is gone. A place that nobody saw (the run that could take it was not committed yet) is found by the next
--   claim or settlement of the tenant, and by the sweep within a second or two.
-- * Counting is a bounded look into an index of what is admitted. It begins at the old end: what it finds dead there it marks, and
--   Postgres takes that away when the page is full, so the index stays small without a vacuum. An index of many held runs does not:
--   what was released from it stays until a vacuum. It is looked into only when the window is not far from full, so nobody without
--   a backlog pays for one that is over.
-- * Locks. A held run is taken with `for update skip locked`, without its thread's row and as the last lock of the transaction:
--   who holds it waits for nobody any more, so no circle can close, whatever order the run ids are in. Its thread's row is not
--   needed: everybody else who changes a pending run locks its row too, and the claim looks again at who is the head.
--
-- Not done: workers that choose a tenant at their claim (a job would be a token for any run; a claim would lock rows of several
-- threads, and lost jobs could not be told by the queue's order any more); one queue per tenant (the number of keys and of
-- blocking reads grows with tenants); BullMQ's priorities (the queue is not first in, first out then, which the sweep relies on,
-- and a large tenant starves behind many small ones).

-- What is one for the whole fleet. A gateway writes its settings here when it starts; workers and functions only read. As
-- parameters of each call they would differ between processes in the middle of a deploy.
create table fleet_settings (
  whole_fleet                 boolean primary key default true check (whole_fleet), -- one row
  max_queued_runs_per_tenant  int not null default 32 check (max_queued_runs_per_tenant >= 0), -- 0: no bound
  max_running_runs_per_tenant int check (max_running_runs_per_tenant > 0)                      -- null: no bound
);
insert into fleet_settings default values;
-- Or it is taken for a table of 2,200 rows, and plans that read it are dear enough to be made anew for each call.
analyze fleet_settings;

alter table runs
  add column held_at timestamptz, -- runnable since then, and not admitted yet
  add constraint held_while_waiting check (
    held_at is null or status <> 'pending' or (attempt = 0 and released_at is null and dispatched_at is null));

drop index runs_released;
create index runs_admitted on runs (tenant_id, released_at) where status = 'pending' and released_at is not null;
create index runs_held on runs (tenant_id, held_at, seq) where status = 'pending' and held_at is not null;

-- Runs of a tenant that have begun and not ended: those that run, and those that wait to go on. Counts no further than p_most.
create function count_begun_runs(p_tenant text, p_most int) returns int
language plpgsql stable as $$
begin
  return (select count(*) from (select from runs where tenant_id = p_tenant and status = 'running' limit p_most) r)
       + (select count(*) from (select from runs where tenant_id = p_tenant and status = 'pending' and attempt > 0 limit p_most) b);
end $$;

-- Whether one more run of the tenant may be admitted, as far as the running ones are concerned. Admitted ones will run.
create function may_run_more(p_tenant text, p_most int) returns boolean
language plpgsql stable as $$
begin
  return p_most is null or p_most > count_begun_runs(p_tenant, p_most)
    + (select count(*) from (select from runs where tenant_id = p_tenant and status = 'pending' and released_at is not null and attempt = 0
                              order by released_at limit p_most) a);
end $$;

-- Whether a run that has just become runnable is admitted at once. Should there be room that a held run has missed, it overtakes
-- that one, which is not worth a second look at each submission; a bound on running runs may keep runs held for long, and none is
-- overtaken there.
create function admits_run(p_tenant text) returns boolean
language plpgsql stable as $$
declare
  f record;
begin
  select max_queued_runs_per_tenant as max_queued, max_running_runs_per_tenant as max_running,
         (select count(*) from (select from runs where tenant_id = p_tenant and status = 'pending' and released_at is not null
                                 order by released_at limit max_queued_runs_per_tenant) a) as admitted
    into f from fleet_settings;
  if f.max_queued > 0 and f.admitted >= f.max_queued then return false; end if;
  if f.max_running is null then return true; end if;
  return not exists (select from runs where tenant_id = p_tenant and status = 'pending' and held_at is not null)
     and may_run_more(p_tenant, f.max_running);
end $$;

-- Marks a run as dispatched and returns what the queue needs: {run_id, attempt, dispatch, dispatched_at (ms)}. The caller
-- has seen that the run is pending, and holds the thread's row, or that of a held run.
create or replace function dispatch_run(p_run uuid) returns jsonb
language plpgsql as $$
declare
  dispatched jsonb;
begin
  update runs set dispatched_at = clock_timestamp(), dispatch = dispatch + 1, ready_at = null,
                  released_at = coalesce(released_at, held_at, clock_timestamp()), held_at = null
   where run_id = p_run
  returning jsonb_build_object('run_id', run_id, 'attempt', attempt, 'dispatch', dispatch,
                               'dispatched_at', floor(extract(epoch from dispatched_at) * 1000)) into dispatched;
  return dispatched;
end $$;

-- Admits and dispatches the tenant's longest held run, if there is one and room for it. Nothing that waits for a lock may
-- come after this in a transaction.
--   p_sure: look also where it is not likely that a run is held. While some are, each claim lets one go, so the window is full but
--   for a few misses; one that is less than half full is left to the sweep.
create function release_held_run(p_tenant text, p_sure boolean) returns jsonb
language plpgsql as $$
declare
  f record;
  longest uuid;
begin
  select max_queued_runs_per_tenant as max_queued, max_running_runs_per_tenant as max_running,
         (select count(*) from (select from runs where tenant_id = p_tenant and status = 'pending' and released_at is not null
                                 order by released_at limit max_queued_runs_per_tenant) a) as admitted
    into f from fleet_settings;
  if f.max_queued > 0 and f.admitted >= f.max_queued then return null; end if;
  if not p_sure and f.max_running is null and (f.max_queued = 0 or f.admitted < f.max_queued / 2) then return null; end if;
  perform from runs where tenant_id = p_tenant and status = 'pending' and held_at is not null
    order by held_at desc, seq desc limit 1; -- the new end: there are no rows that were released and not vacuumed yet
  if not found then return null; end if;
  if not may_run_more(p_tenant, f.max_running) then return null; end if;
  select run_id into longest from runs where tenant_id = p_tenant and status = 'pending' and held_at is not null
   order by held_at, seq limit 1 for update skip locked;
  if not found then return null; end if;
  return dispatch_run(longest);
end $$;

-- Releases held runs that nobody released when there was room, of all tenants; at most p_most. Goes from tenant to tenant of
-- those with held runs, and costs that and what is released, not what is held. Returns the dispatches.
create function release_held_runs(p_most int) returns jsonb
language plpgsql as $$
declare
  dispatches jsonb := '[]';
  dispatched jsonb;
  tenant text := '';
begin
  loop
    select tenant_id into tenant from runs where tenant_id > tenant and status = 'pending' and held_at is not null
     order by tenant_id limit 1;
    exit when not found;
    loop
      exit when jsonb_array_length(dispatches) >= p_most;
      dispatched := release_held_run(tenant, true);
      exit when dispatched is null;
      dispatches := dispatches || dispatched;
    end loop;
    exit when jsonb_array_length(dispatches) >= p_most;
  end loop;
  return dispatches;
end $$;

-- Dispatches the head of a thread if it is runnable, admitted, and not dispatched yet. The caller holds the thread's row.
create function dispatch_head(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
declare
  head_id uuid := thread_head(p_tenant, p_thread);
  head runs%rowtype;
begin
  if head_id is null then return null; end if;
  select * into head from runs where run_id = head_id;
  if not found or head.status <> 'pending' or head.dispatched_at is not null or head.held_at is not null then return null; end if;
  if head.retry_at > clock_timestamp() then
    update runs set ready_at = retry_at where run_id = head.run_id and ready_at is distinct from retry_at;
    return null;
  end if;
  -- What was admitted stays so: a job that Redis has lost is dispatched again, whatever is on the queue by now.
  if head.attempt = 0 and head.released_at is null and not admits_run(p_tenant) then
    update runs set held_at = clock_timestamp(), ready_at = null where run_id = head.run_id;
    return null;
  end if;
  return dispatch_run(head.run_id);
end $$;

-- Releases what may go to the queue now that something of a thread has changed: the head of the thread, else the tenant's longest
-- held run. One is enough: a settlement, a cancel or a failed start frees one place at most. The caller holds the thread's row,
-- and takes no lock afterwards.
create or replace function release_head(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
begin
  return coalesce(dispatch_head(p_tenant, p_thread), release_held_run(p_tenant, false));
end $$;

-- As in 0006; a run that is the head of its thread is admitted or held.
create or replace function create_run(
  p_tenant text, p_thread text, p_thread_must_exist boolean, p_bind_graph boolean, p_temporary boolean, p_run uuid, p_assistant uuid,
  p_graph text, p_kwargs json, p_metadata jsonb, p_assistant_metadata jsonb, p_thread_metadata jsonb, p_strategy text,
  p_delay_seconds double precision, p_resume text, p_interrupts text[], p_answer json, p_key text, p_hash text
) returns jsonb
language plpgsql as $$
declare
  t threads%rowtype;
  other record;
  seen idempotency_keys%rowtype;
  makes_thread boolean := not p_thread_must_exist and coalesce(p_resume, 'if_waiting') = 'if_waiting';
  fresh boolean := false;
  in_flight boolean := false;
  at_once boolean;
  held boolean;
  decision text;
  refusal text;
  waiting text[];
  answers json;
  cancelled jsonb := '[]';
  run_now timestamptz;
  dispatched jsonb;
  merged jsonb;
begin
  if p_key is not null then
    delete from idempotency_keys where tenant_id = p_tenant and key = p_key and created_at < now() - interval '24 hours';
    insert into idempotency_keys (tenant_id, key, request_hash, run_id, thread_id)
      values (p_tenant, p_key, p_hash, p_run, p_thread) on conflict do nothing;
    if not found then
      select * into seen from idempotency_keys where tenant_id = p_tenant and key = p_key;
      if not found then -- it went away with its thread just now
        raise exception 'the key vanished' using errcode = 'serialization_failure'; -- the caller repeats
      end if;
      if seen.request_hash <> p_hash then return jsonb_build_object('outcome', 'key_reused'); end if;
      return jsonb_build_object('outcome', 'replayed', 'run_id', seen.run_id, 'thread_id', seen.thread_id);
    end if;
  end if;

  -- A new thread is complete with its first insert: nobody else can see it, and no run of it can be in flight.
  if makes_thread then
    insert into threads (tenant_id, thread_id, graph_id, metadata, status, temporary)
      values (p_tenant, p_thread, p_graph,
              case when p_assistant_metadata is null then p_thread_metadata else p_metadata || p_thread_metadata end, 'busy', p_temporary)
      on conflict do nothing;
    fresh := found;
  end if;
  if not fresh then
    select * into t from threads where tenant_id = p_tenant and thread_id = p_thread for update;
    if not found then
      if makes_thread then -- it was there a moment ago, and has been deleted since
        raise exception 'the thread vanished' using errcode = 'serialization_failure'; -- the caller repeats
      end if;
      refusal := 'thread_missing';
    elsif p_bind_graph and t.graph_id is not null and t.graph_id <> p_graph then
      refusal := 'other_graph';
    end if;
  end if;

  if not fresh and refusal is null then
    in_flight := has_run_in_flight(p_tenant, p_thread);
    decision := decide_multitask(p_strategy, in_flight);
    if decision = 'refuse' then
      refusal := 'thread_busy';
    elsif p_resume = 'if_waiting' then
      if not in_flight and t.state_stale_at is not null then
        refusal := 'state_stale';
      elsif not in_flight then
        select coalesce(array_agg(distinct i ->> 'id'), '{}') into waiting
          from jsonb_each(t.interrupts) e, jsonb_array_elements(e.value) i;
        if cardinality(waiting) > 1 then
          refusal := 'several_interrupts';
        elsif cardinality(waiting) = 1 then
          answers := json_build_object(waiting[1], p_answer);
        end if;
      end if;
    elsif p_resume is not null then
      select coalesce(array_agg(distinct i ->> 'id'), '{}') into waiting
        from jsonb_each(t.interrupts) e, jsonb_array_elements(e.value) i;
      if in_flight then
        refusal := 'thread_busy';
      elsif t.state_stale_at is not null then
        refusal := 'state_stale';
      elsif cardinality(waiting) = 0 then -- after a failed run the thread's status is error, and its questions still wait
        refusal := 'not_interrupted';
      elsif p_resume <> 'only' and not p_interrupts <@ waiting then
        refusal := 'unknown_interrupt';
      elsif p_resume = 'map' then
        answers := p_answer;
      elsif p_resume = 'named' then
        answers := json_build_object(p_interrupts[1], p_answer);
      elsif cardinality(waiting) > 1 then
        refusal := 'several_interrupts';
      else
        answers := json_build_object(waiting[1], p_answer);
      end if;
    end if;
  end if;

  if refusal is not null then
    if p_key is not null then delete from idempotency_keys where tenant_id = p_tenant and key = p_key; end if;
    return jsonb_build_object('outcome', refusal, 'waiting', to_jsonb(waiting), 'graph_id', t.graph_id, 'status', t.status);
  end if;

  if decision = 'cancel_others' then
    for other in select run_id, status from runs
                  where tenant_id = p_tenant and thread_id = p_thread and status in ('pending', 'running')
                  order by run_id for update loop
      if other.status = 'running' then
        update runs set cancel_action = case when cancel_action = 'rollback' then 'rollback' else p_strategy end
         where run_id = other.run_id;
      else
        perform cancel_pending_run(other.run_id, p_tenant, p_thread, p_strategy, null);
      end if;
      cancelled := cancelled || jsonb_build_object('run_id', other.run_id, 'was', other.status);
    end loop;
  end if;

  -- With no other run in flight the new one is the head of its thread: it is dispatched, or held, by the insert itself.
  run_now := clock_timestamp();
  at_once := not in_flight and p_delay_seconds <= 0;
  held := at_once and not admits_run(p_tenant);
  at_once := at_once and not held;
  merged := case when p_assistant_metadata is null then p_metadata
                 else p_assistant_metadata || coalesce(t.metadata, '{}') || p_metadata end;
  insert into runs (run_id, tenant_id, thread_id, assistant_id, graph_id, kwargs, resume_map, metadata, multitask_strategy,
                    available_at, ready_at, created_at, updated_at, dispatched_at, released_at, held_at, dispatch)
    values (p_run, p_tenant, p_thread, p_assistant, p_graph, p_kwargs, answers, merged, p_strategy,
            run_now + make_interval(secs => p_delay_seconds),
            case when p_delay_seconds > 0 then run_now + make_interval(secs => p_delay_seconds) end, run_now, run_now,
            case when at_once then run_now end, case when at_once then run_now end, case when held then run_now end, at_once::int);
  if not fresh then
    update threads set status = 'busy', updated_at = run_now,
                       graph_id = case when p_bind_graph then coalesce(graph_id, p_graph) else p_graph end,
                       metadata = metadata || p_thread_metadata
     where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  if at_once then
    dispatched := jsonb_build_object('run_id', p_run, 'attempt', 0, 'dispatch', 1,
                                     'dispatched_at', floor(extract(epoch from run_now) * 1000));
  elsif p_delay_seconds <= 0 and not held then
    dispatched := release_head(p_tenant, p_thread);
  end if;
  return jsonb_build_object('outcome', 'created', 'dispatch', dispatched, 'cancelled', cancelled, 'created_at', run_now,
                            'metadata', merged);
end $$;

-- As in 0003; a claim makes room for a held run of the tenant, which `next` of the run is the dispatch of, and is refused (held)
-- when as many runs of the tenant have begun as may run at once.
create or replace function claim_run(p_run uuid, p_holder text, p_lease_seconds double precision, p_alone boolean,
  out outcome text, out run json, out checkpoint json, out applied boolean)
language plpgsql as $$
declare
  r runs%rowtype;
  c checkpoints%rowtype;
  ct text;
  waited double precision;
  most int;
  next jsonb;
begin
  select * into r from runs where run_id = p_run;
  if not found then outcome := 'gone'; return; end if;
  if r.status <> 'pending' then outcome := 'not_pending'; return; end if; -- a duplicate job: nothing is locked for it
  perform 1 from threads where tenant_id = r.tenant_id and thread_id = r.thread_id for update;
  select * into r from runs where run_id = p_run for update;
  if not found then outcome := 'gone'; return; end if;
  if r.status <> 'pending' then outcome := 'not_pending'; return; end if;
  if greatest(r.available_at, r.retry_at) > clock_timestamp() then
    update runs set dispatched_at = null, ready_at = greatest(available_at, retry_at) where run_id = p_run;
    outcome := 'not_due'; return;
  end if;
  if thread_head(r.tenant_id, r.thread_id) is distinct from p_run then
    -- Its predecessor releases it; until then it takes no place in the window.
    update runs set dispatched_at = null, released_at = null, held_at = null where run_id = p_run;
    outcome := 'not_head'; return;
  end if;
  if r.solo and not p_alone then
    update runs set dispatched_at = clock_timestamp() + interval '15 s' where run_id = p_run; -- the child needs time to start
    run := json_build_object('attempt', r.attempt);
    outcome := 'alone'; return;
  end if;
  most := (select max_running_runs_per_tenant from fleet_settings);
  if most is not null and r.attempt = 0 then
    -- Two claims that count at once would both find room. The lock is held until the commit; who has it waits for nothing more.
    perform pg_advisory_xact_lock(72018945, hashtext(r.tenant_id));
    if count_begun_runs(r.tenant_id, most) >= most then
      update runs set held_at = coalesce(held_at, released_at, clock_timestamp()), released_at = null, dispatched_at = null
       where run_id = p_run;
      outcome := 'held'; return;
    end if;
  end if;

  ct := checkpoint_thread_id(r.tenant_id, r.thread_id);
  select * into c from checkpoints k where k.thread_id = ct and k.checkpoint_ns = '' order by k.seq desc limit 1;
  waited := coalesce(extract(epoch from clock_timestamp() - coalesce(r.released_at, r.held_at)), 0);
  update runs
     set status = 'running', attempt = attempt + 1, holder = p_holder,
         lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
         base_seq = case when attempt = 0 then coalesce(c.seq, 0) else base_seq end, claimed_seq = (select last_value from checkpoints_seq),
         ready_at = null, retry_at = null, dispatched_at = null, released_at = null, held_at = null,
         started_at = coalesce(started_at, clock_timestamp()), updated_at = clock_timestamp()
   where run_id = p_run
  returning * into r;
  next := release_held_run(r.tenant_id, false); -- the place that this run had is free
  outcome := 'claimed';
  applied := r.attempt > 1 and exists (
    select 1 from checkpoints k where k.thread_id = ct and k.checkpoint_ns = '' and k.seq > r.base_seq and k.run_id = p_run);
  run := (select row_to_json(x) from (select r.*, waited as waited_seconds,
            extract(epoch from clock_timestamp() - r.started_at) as elapsed_seconds, next) x);
  if c.checkpoint_id is not null then
    checkpoint := json_build_object('thread_id', c.thread_id, 'checkpoint_ns', '', 'checkpoint_id', c.checkpoint_id,
      'parent_checkpoint_id', c.parent_checkpoint_id, 'checkpoint', c.checkpoint, 'metadata', c.metadata, 'run_id', c.run_id,
      'channel_values', checkpoint_values(ct, '', c.checkpoint),
      'pending_writes', checkpoint_pending_writes(ct, '', c.checkpoint_id));
  end if;
end $$;

-- As in 0003; when a waiting run went with the thread, `next` is the dispatch of a held run of the tenant that takes its place.
create or replace function delete_thread(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
  ids jsonb;
  other record;
  live jsonb;
  ended boolean := false;
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  for other in (select run_id, status, attempt from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'running')
      union all (select run_id, status, attempt from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'pending')
      order by run_id loop
    perform 1 from runs where run_id = other.run_id for update;
    if other.status = 'pending' then
      perform cancel_pending_run(other.run_id, p_tenant, p_thread, 'interrupt', 'the thread is being deleted');
      ended := true;
    else
      update runs set cancel_action = coalesce(cancel_action, 'interrupt'), cancel_reason = 'the thread is being deleted'
       where run_id = other.run_id;
      live := jsonb_build_object('run_id', other.run_id, 'attempt', other.attempt);
    end if;
  end loop;
  if live is not null then
    return jsonb_build_object('outcome', 'running', 'running', live, 'next', case when ended then release_held_run(p_tenant, false) end);
  end if;
  with gone as (delete from runs where tenant_id = p_tenant and thread_id = p_thread returning run_id)
    select coalesce(jsonb_agg(run_id), '[]') into ids from gone;
  delete from checkpoints where thread_id = ct;
  delete from checkpoint_writes where thread_id = ct;
  delete from checkpoint_blobs where thread_id = ct;
  delete from overwritten_writes where thread_id = ct;
  delete from overwritten_checkpoints where thread_id = ct;
  delete from idempotency_keys where tenant_id = p_tenant and thread_id = p_thread;
  delete from threads where tenant_id = p_tenant and thread_id = p_thread;
  return jsonb_build_object('outcome', 'deleted', 'run_ids', ids, 'next', case when ended then release_held_run(p_tenant, false) end);
end $$;
