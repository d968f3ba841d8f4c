-- Create, claim and settle are one round trip each. Within a function each statement sees a fresh snapshot, which one big
-- CTE statement does not. Locks are always taken in one order: the thread's row, then run rows by id.
-- Every transition out of a running attempt takes FOR UPDATE on the run's row: checkpoint writes hold FOR KEY SHARE on it,
-- so the transition waits for a checkpoint in flight and nothing of that attempt lands afterwards.
--
-- A run is found by its id alone, and its status is looked at afterwards, under the lock. `where run_id = $1 and status =
-- 'pending'` lets the planner walk a whole partial index instead, which is tiny when it is analysed and holds every pending
-- run in a burst (4.7 ms for a create with 5000 pending).

-- The double-texting decision: what becomes of a new run when others of its thread are in flight.
create function decide_multitask(p_strategy text, p_in_flight boolean) returns text
language sql immutable as $$
  select case when not p_in_flight then 'insert'
              when p_strategy = 'reject' then 'refuse'
              when p_strategy in ('interrupt', 'rollback') then 'cancel_others'
              else 'insert' end
$$;

-- The one run of a thread that may be on the queue: its running run, else a pending one that has begun, else of those due
-- the lowest (available_at, seq). A delayed run blocks nobody.
create function thread_head(p_tenant text, p_thread text) returns uuid
language sql stable as $$
  select coalesce(
    (select run_id from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'running'),
    (select run_id from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'pending' and attempt > 0 limit 1),
    (select run_id from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'pending' and available_at <= clock_timestamp()
      order by available_at, seq limit 1))
$$;

-- Whether a run of the thread is pending or running. Two questions, because each has an index that holds nothing else: one
-- question with `in` walks through all runs that the thread ever had.
create function has_run_in_flight(p_tenant text, p_thread text) returns boolean
language sql stable as $$
  select exists (select 1 from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'running')
      or exists (select 1 from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'pending')
$$;
create index runs_begun on runs (tenant_id, thread_id) where status = 'pending' and attempt > 0;

-- Marks a run as dispatched and returns what the queue needs: {run_id, attempt, dispatch, dispatched_at (ms)}. The caller
-- holds the thread's row and has seen that the run is pending.
create function dispatch_run(p_run uuid) returns jsonb
language sql volatile as $$
  update runs set dispatched_at = clock_timestamp(), dispatch = dispatch + 1, ready_at = null,
                  released_at = coalesce(released_at, clock_timestamp())
   where run_id = p_run
  returning jsonb_build_object('run_id', run_id, 'attempt', attempt, 'dispatch', dispatch,
                               'dispatched_at', floor(extract(epoch from dispatched_at) * 1000))
$$;

-- Dispatches the head of a thread if it is runnable and not dispatched yet. The caller holds the thread's row.
create function release_head(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
declare
  head_id uuid := thread_head(p_tenant, p_thread);
  head runs%rowtype;
begin
  if head_id is null then return null; end if;
  select * into head from runs where run_id = head_id;
  if not found or head.status <> 'pending' or head.dispatched_at is not null then return null; end if;
  if head.retry_at > clock_timestamp() then
    update runs set ready_at = retry_at where run_id = head.run_id and ready_at is distinct from retry_at;
    return null;
  end if;
  return dispatch_run(head.run_id);
end $$;

-- Looks at a run that the sweep found due or lost: dispatches it again if it is the head of its thread and runnable, else
-- takes it off the sweep's list (its predecessor releases it).
create function redispatch_run(p_run uuid) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
begin
  select * into r from runs where run_id = p_run;
  if not found then return null; end if;
  perform 1 from threads where tenant_id = r.tenant_id and thread_id = r.thread_id for update;
  select * into r from runs where run_id = p_run for update;
  if not found or r.status <> 'pending' then return release_head(r.tenant_id, r.thread_id); end if;
  update runs set dispatched_at = null,
         ready_at = case when greatest(available_at, retry_at) > clock_timestamp() then greatest(available_at, retry_at) end
   where run_id = p_run;
  return release_head(r.tenant_id, r.thread_id);
end $$;

-- Deletes a run with everything it wrote and restores what it overwrote. The caller holds thread and run FOR UPDATE.
create function rollback_run(p_run uuid, p_tenant text, p_thread text) returns void
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
  delete from idempotency_keys where tenant_id = p_tenant and thread_id = p_thread and run_id = p_run;
  -- What the remaining checkpoints refer to is collected once: asked per blob, a long thread would hold its locks for seconds.
  if exists (select 1 from checkpoint_blobs where thread_id = ct and run_id = p_run) then
    with referred as materialized (
      select c.checkpoint_ns, v.key, v.value from checkpoints c, jsonb_each_text(c.checkpoint -> 'channel_versions') v where c.thread_id = ct)
    delete from checkpoint_blobs b where b.thread_id = ct and b.run_id = p_run and not exists (
      select 1 from referred x where x.checkpoint_ns = b.checkpoint_ns and x.key = b.channel and x.value = b.version);
  end if;
end $$;

-- Ends a pending run at once. The caller holds thread and run FOR UPDATE and has seen that the run is pending.
create function cancel_pending_run(p_run uuid, p_tenant text, p_thread text, p_action text, p_reason text) returns void
language plpgsql as $$
declare
  attempts int;
begin
  if p_action = 'rollback' then
    perform rollback_run(p_run, p_tenant, p_thread);
    return;
  end if;
  update runs set status = 'interrupted', cancel_action = p_action, cancel_reason = p_reason, ready_at = null,
         dispatched_at = null, ended_at = clock_timestamp(), updated_at = clock_timestamp()
   where run_id = p_run
  returning attempt into attempts;
  if attempts = 0 then return; end if;
  delete from overwritten_writes where overwritten_by = p_run;
  delete from overwritten_checkpoints where overwritten_by = p_run;
  update threads set state_stale_at = clock_timestamp() where tenant_id = p_tenant and thread_id = p_thread;
end $$;

-- The thread's status follows from its runs: busy while one is in flight, else what the last settle or edit left.
create function derive_thread_status(p_tenant text, p_thread text) returns void
language sql volatile as $$
  update threads t
     set status = case when has_run_in_flight(p_tenant, p_thread) then 'busy' else t.settled_status end,
         updated_at = clock_timestamp()
   where t.tenant_id = p_tenant and t.thread_id = p_thread
$$;

-- Accepts a run. Returns {outcome, …}: created, replayed, key_reused, thread_missing, other_graph, thread_busy,
-- not_interrupted, unknown_interrupt, several_interrupts, state_stale (which questions wait has to be read again first).
-- Any outcome but created and replayed leaves nothing behind.
--   p_resume: null, or how the run answers questions that must be waiting now: 'only' (the one that waits), 'named'
--   (p_interrupts holds its id), 'map' (p_answer is a map whose keys are p_interrupts). p_answer is carried as it is: the
--   JSON functions of Postgres refuse NUL and lone surrogates as soon as they look into a text.
create function create_run(
  p_tenant text, p_thread text, p_thread_must_exist boolean, p_bind_graph boolean, p_run uuid, p_assistant uuid, p_graph text,
  p_kwargs json, p_metadata jsonb, p_thread_metadata jsonb, p_strategy text, p_delay_seconds double precision,
  p_resume text, p_interrupts text[], p_answer json, p_key text, p_hash text
) returns jsonb
language plpgsql as $$
declare
  t threads%rowtype;
  other record;
  seen idempotency_keys%rowtype;
  fresh boolean := false;
  in_flight boolean := false;
  at_once boolean;
  decision text;
  refusal text;
  waiting text[];
  answers json;
  cancelled jsonb := '[]';
  run_now timestamptz;
  dispatched jsonb;
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
  if not p_thread_must_exist and p_resume is null then
    insert into threads (tenant_id, thread_id, graph_id, metadata, status)
      values (p_tenant, p_thread, p_graph, p_thread_metadata, 'busy') on conflict do nothing;
    fresh := found;
  end if;
  if not fresh then
    select * into t from threads where tenant_id = p_tenant and thread_id = p_thread for update;
    if not found then
      if not p_thread_must_exist and p_resume is null then -- it was there a moment ago, and has been deleted since
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

  -- With no other run in flight the new one is the head of its thread: it is dispatched by the insert itself.
  run_now := clock_timestamp();
  at_once := not in_flight and p_delay_seconds <= 0;
  insert into runs (run_id, tenant_id, thread_id, assistant_id, graph_id, kwargs, resume_map, metadata, multitask_strategy,
                    available_at, ready_at, created_at, updated_at, dispatched_at, released_at, dispatch)
    values (p_run, p_tenant, p_thread, p_assistant, p_graph, p_kwargs, answers, p_metadata, p_strategy,
            run_now + make_interval(secs => p_delay_seconds),
            case when p_delay_seconds > 0 then run_now + make_interval(secs => p_delay_seconds) end, run_now, run_now,
            case when at_once then run_now end, case when at_once then run_now end, at_once::int);
  if not fresh then
    update threads set status = 'busy', updated_at = run_now, graph_id = coalesce(graph_id, p_graph),
                       metadata = metadata || p_thread_metadata
     where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  if at_once then
    dispatched := jsonb_build_object('run_id', p_run, 'attempt', 0, 'dispatch', 1,
                                     'dispatched_at', floor(extract(epoch from run_now) * 1000));
  elsif p_delay_seconds <= 0 then
    dispatched := release_head(p_tenant, p_thread);
  end if;
  return jsonb_build_object('outcome', 'created', 'dispatch', dispatched, 'cancelled', cancelled, 'created_at', run_now);
end $$;

-- The questions of pending writes and the values of a checkpoint, as one JSON document each. Blobs of type json are UTF-8
-- text; anything else travels as base64.
create function blob_text(p_type text, p_blob bytea) returns text
language sql immutable as $$
  select case when p_blob is null then null when p_type = 'json' then convert_from(p_blob, 'UTF8')
              else encode(p_blob, 'base64') end
$$;
-- `offset 0` makes Postgres look up each channel's blob by its key: a join reads all blobs that the thread ever had.
create function checkpoint_values(p_thread text, p_ns text, p_checkpoint jsonb) returns json
language sql stable as $$
  select json_agg(json_build_array(v.key, b.type, blob_text(b.type, b.blob)))
    from jsonb_each_text(p_checkpoint -> 'channel_versions') v
   cross join lateral (select k.type, k.blob from checkpoint_blobs k
                        where k.thread_id = p_thread and k.checkpoint_ns = p_ns and k.channel = v.key and k.version = v.value offset 0) b
$$;
create function checkpoint_pending_writes(p_thread text, p_ns text, p_checkpoint_id text) returns json
language sql stable as $$
  select json_agg(json_build_array(w.task_id, w.channel, w.type, blob_text(w.type, w.blob), w.run_id)
                  order by w.task_path collate "C", w.task_id collate "C", w.idx)
    from checkpoint_writes w where w.thread_id = p_thread and w.checkpoint_ns = p_ns and w.checkpoint_id = p_checkpoint_id
$$;

-- Makes p_holder the holder of a run and starts an attempt. Returns {outcome, …} with the run's row and the latest root
-- checkpoint of its thread; outcomes: claimed, gone, not_pending, not_due, not_head, alone (it must have a holder to itself;
-- of its row only the attempt is returned).
create function claim_run(p_run uuid, p_holder text, p_lease_seconds double precision, p_alone boolean,
  out outcome text, out run json, out checkpoint json, out applied boolean)
language plpgsql as $$
declare
  r runs%rowtype;
  c checkpoints%rowtype;
  ct text;
  waited double precision;
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
    update runs set dispatched_at = null where run_id = p_run; -- its predecessor releases it
    outcome := 'not_head'; return;
  end if;
  if r.solo and not p_alone then
    update runs set dispatched_at = clock_timestamp() + interval '15 s' where run_id = p_run; -- the child needs time to start
    run := json_build_object('attempt', r.attempt);
    outcome := 'alone'; return;
  end if;

  ct := checkpoint_thread_id(r.tenant_id, r.thread_id);
  select * into c from checkpoints k where k.thread_id = ct and k.checkpoint_ns = '' order by k.seq desc limit 1;
  waited := coalesce(extract(epoch from clock_timestamp() - r.released_at), 0);
  update runs
     set status = 'running', attempt = attempt + 1, holder = p_holder,
         lease_expires_at = clock_timestamp() + make_interval(secs => p_lease_seconds),
         base_seq = case when attempt = 0 then coalesce(c.seq, 0) else base_seq end, claimed_seq = (select last_value from checkpoints_seq),
         ready_at = null, retry_at = null, dispatched_at = null, released_at = null,
         started_at = coalesce(started_at, clock_timestamp()), updated_at = clock_timestamp()
   where run_id = p_run
  returning * into r;
  outcome := 'claimed';
  applied := r.attempt > 1 and exists (
    select 1 from checkpoints k where k.thread_id = ct and k.checkpoint_ns = '' and k.seq > r.base_seq and k.run_id = p_run);
  run := (select row_to_json(x) from (select r.*, waited as waited_seconds,
            extract(epoch from clock_timestamp() - r.started_at) as elapsed_seconds) x);
  if c.checkpoint_id is not null then
    checkpoint := json_build_object('thread_id', c.thread_id, 'checkpoint_ns', '', 'checkpoint_id', c.checkpoint_id,
      'parent_checkpoint_id', c.parent_checkpoint_id, 'checkpoint', c.checkpoint, 'metadata', c.metadata, 'run_id', c.run_id,
      'channel_values', checkpoint_values(ct, '', c.checkpoint),
      'pending_writes', checkpoint_pending_writes(ct, '', c.checkpoint_id));
  end if;
end $$;

-- Ends an attempt, whoever does it. p_outcome is what the attempt came to:
--   success, error, timeout, interrupted   the run is over
--   handed_over                            back to pending, another worker goes on at once; not counted
--   lost                                   the lease ran out; p_counts says whether that may count as a crash
-- A cancel recorded before this moment wins over p_outcome: rollback deletes the run, interrupt ends it as interrupted.
-- Returns {outcome: fenced | settled, status, action, thread_id, next}: next is the dispatch of the thread's new head.
create function settle_run(
  p_run uuid, p_attempt int, p_outcome text, p_error jsonb, p_values jsonb, p_interrupts jsonb, p_has_next boolean,
  p_checkpoint_id text, p_reason text, p_counts boolean, p_max_solo_losses int
) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
  final text := p_outcome;
  progressed boolean;
  settled text;
  chapter jsonb;
  stored_id text;
  open_questions jsonb;
begin
  select * into r from runs where run_id = p_run;
  if not found then return jsonb_build_object('outcome', 'fenced'); end if;
  perform 1 from threads where tenant_id = r.tenant_id and thread_id = r.thread_id for update;
  select * into r from runs where run_id = p_run for update;
  if not found or r.attempt <> p_attempt then return jsonb_build_object('outcome', 'fenced'); end if;
  if r.status = p_outcome then -- settled before, by a call whose answer was lost
    return jsonb_build_object('outcome', 'settled', 'status', r.status, 'error', r.error, 'thread_id', r.thread_id,
                              'tenant_id', r.tenant_id, 'next', release_head(r.tenant_id, r.thread_id));
  end if;
  if r.status <> 'running' then return jsonb_build_object('outcome', 'fenced'); end if;
  if p_outcome = 'lost' and r.lease_expires_at > clock_timestamp() then return jsonb_build_object('outcome', 'fenced'); end if;

  if r.cancel_action = 'rollback' then
    perform rollback_run(p_run, r.tenant_id, r.thread_id);
    perform derive_thread_status(r.tenant_id, r.thread_id);
    return jsonb_build_object('outcome', 'settled', 'status', 'rollback', 'thread_id', r.thread_id,
                              'tenant_id', r.tenant_id, 'next', release_head(r.tenant_id, r.thread_id));
  end if;
  if r.cancel_action = 'interrupt' then
    final := 'interrupted';
    p_error := null; -- the stream of a cancelled run just ends
  end if;

  chapter := jsonb_build_object('attempt', r.attempt, 'holder', r.holder, 'ended', final, 'reason', p_reason,
                                'at', clock_timestamp(), 'checkpoint_id', p_checkpoint_id);
  if final in ('handed_over', 'lost') then
    progressed := exists (select 1 from checkpoints k -- of the graph or of a subgraph
      where k.thread_id = checkpoint_thread_id(r.tenant_id, r.thread_id) and k.seq > r.claimed_seq and k.run_id = p_run);
    if progressed then
      r.losses := 0; r.solo_losses := 0; r.solo := false;
    elsif final = 'lost' and p_counts then
      r.losses := r.losses + 1;
      if r.solo then r.solo_losses := r.solo_losses + 1; end if;
      r.solo := r.losses >= 2;
    end if;
    if r.solo_losses >= p_max_solo_losses then
      final := 'error';
      p_error := jsonb_build_object('error', 'PoisonRun', 'message', format(
        'The run lost its worker %s times without a new checkpoint, %s times while it had a worker to itself. It is not tried again.',
        r.losses, r.solo_losses));
    end if;
  end if;

  if final in ('handed_over', 'lost') then
    -- Read under the lock, which has waited for a checkpoint in flight: the worker may not know of it.
    stored_id := (select k.checkpoint_id from checkpoints k
                   where k.thread_id = checkpoint_thread_id(r.tenant_id, r.thread_id) and k.checkpoint_ns = ''
                     and k.seq > r.base_seq and k.run_id = p_run order by k.seq desc limit 1);
    update runs
       set status = 'pending', holder = null, lease_expires_at = null, losses = r.losses, solo_losses = r.solo_losses,
           solo = r.solo, handed_over_at = case when final = 'handed_over' then stored_id else handed_over_at end,
           retry_at = case when final = 'lost' and r.solo then clock_timestamp() + make_interval(secs => least(power(4, r.solo_losses), 60)) end,
           ready_at = null, dispatched_at = null, story = (story || chapter), updated_at = clock_timestamp()
     where run_id = p_run;
    return jsonb_build_object('outcome', 'settled', 'status', 'pending', 'thread_id', r.thread_id,
                              'tenant_id', r.tenant_id, 'next', release_head(r.tenant_id, r.thread_id));
  end if;

  update runs
     set status = final, holder = null, lease_expires_at = null, error = p_error, solo_losses = r.solo_losses, losses = r.losses,
         story = case when r.attempt > 1 or final <> 'success' then story || chapter else story end,
         ended_at = clock_timestamp(), updated_at = clock_timestamp()
   where run_id = p_run;
  delete from overwritten_writes where overwritten_by = p_run; -- only a rollback needs the images
  delete from overwritten_checkpoints where overwritten_by = p_run;
  open_questions := coalesce(p_interrupts, (select interrupts from threads where tenant_id = r.tenant_id and thread_id = r.thread_id));
  settled := case
    when final in ('error', 'timeout') then 'error'
    when final = 'success' and p_has_next then 'interrupted'
    when final = 'interrupted' and open_questions <> '{}' then 'interrupted'
    else 'idle' end;
  update threads t
     set "values" = coalesce(p_values, "values"), values_run_id = case when p_values is null then values_run_id else p_run end,
         interrupts = open_questions,
         error = case when settled = 'error' then p_error end,
         settled_status = settled,
         state_stale_at = case when p_values is null then clock_timestamp() end,
         status = case when has_run_in_flight(r.tenant_id, r.thread_id) then 'busy' else settled end,
         state_updated_at = clock_timestamp(), updated_at = clock_timestamp()
   where tenant_id = r.tenant_id and thread_id = r.thread_id;
  return jsonb_build_object('outcome', 'settled', 'status', final, 'error', p_error, 'thread_id', r.thread_id,
                            'tenant_id', r.tenant_id, 'next', release_head(r.tenant_id, r.thread_id));
end $$;

-- Notes that a pending run could not be started: its claim fails for a reason in its data, or the process that was to execute it
-- alone died before it claimed. The third time ends the run. Returns what settle_run returns.
create function fail_start(p_run uuid, p_attempt int, p_reason text, p_most int) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
  chapter jsonb;
  failure jsonb;
begin
  select * into r from runs where run_id = p_run;
  if not found then return jsonb_build_object('outcome', 'fenced'); end if;
  perform 1 from threads where tenant_id = r.tenant_id and thread_id = r.thread_id for update;
  select * into r from runs where run_id = p_run for update;
  if not found or r.attempt <> coalesce(p_attempt, r.attempt) or r.status <> 'pending' then
    return jsonb_build_object('outcome', 'fenced');
  end if;
  chapter := jsonb_build_object('attempt', r.attempt, 'ended', 'not_started', 'reason', p_reason, 'at', clock_timestamp());
  r.solo_losses := r.solo_losses + 1;
  if r.solo_losses < p_most then
    update runs set solo_losses = r.solo_losses, story = story || chapter, dispatched_at = null,
                    retry_at = clock_timestamp() + make_interval(secs => power(4, r.solo_losses - 1))
     where run_id = p_run;
    return jsonb_build_object('outcome', 'settled', 'status', 'pending', 'thread_id', r.thread_id, 'tenant_id', r.tenant_id,
                              'next', release_head(r.tenant_id, r.thread_id));
  end if;
  failure := jsonb_build_object('error', 'PoisonRun', 'message', format(
    'The run could not be started %s times. It is not tried again. The last reason: %s', r.solo_losses, p_reason));
  update runs set status = 'error', error = failure, solo_losses = r.solo_losses, story = story || chapter, ready_at = null,
                  dispatched_at = null, ended_at = clock_timestamp(), updated_at = clock_timestamp()
   where run_id = p_run;
  delete from overwritten_writes where overwritten_by = p_run;
  delete from overwritten_checkpoints where overwritten_by = p_run;
  update threads
     set error = failure, settled_status = 'error', updated_at = clock_timestamp(),
         status = case when has_run_in_flight(r.tenant_id, r.thread_id) then 'busy' else 'error' end,
         state_stale_at = case when r.attempt > 0 then clock_timestamp() else state_stale_at end
   where tenant_id = r.tenant_id and thread_id = r.thread_id;
  return jsonb_build_object('outcome', 'settled', 'status', 'error', 'error', failure, 'thread_id', r.thread_id,
                            'tenant_id', r.tenant_id, 'next', release_head(r.tenant_id, r.thread_id));
end $$;

-- Records or carries out a cancel. Returns {outcome: missing | ended | cancelled | asked, status, attempt, stale, next}.
create function cancel_run(p_tenant text, p_thread text, p_run uuid, p_action text, p_reason text) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  select * into r from runs where run_id = p_run and tenant_id = p_tenant and thread_id = p_thread for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  if r.status = 'pending' then
    perform cancel_pending_run(p_run, p_tenant, p_thread, p_action, p_reason);
    perform derive_thread_status(p_tenant, p_thread);
    return jsonb_build_object('outcome', 'cancelled', 'status', case p_action when 'rollback' then 'rollback' else 'interrupted' end,
                              'attempt', r.attempt, 'next', release_head(p_tenant, p_thread),
                              'stale', exists (select 1 from threads where tenant_id = p_tenant and thread_id = p_thread
                                                  and state_stale_at is not null));
  elsif r.status = 'running' then
    update runs set cancel_action = case when cancel_action = 'rollback' then 'rollback' else p_action end,
                    cancel_reason = coalesce(p_reason, cancel_reason) where run_id = p_run;
    return jsonb_build_object('outcome', 'asked', 'status', r.status, 'attempt', r.attempt);
  end if;
  return jsonb_build_object('outcome', 'ended', 'status', r.status, 'attempt', r.attempt);
end $$;

-- Erases a thread. While a run of it is running, its cancel is recorded and the runs behind it end, so that none of them
-- starts when it stops; the caller comes back. Returns {outcome: missing | running | deleted, run_ids, running}.
create function delete_thread(p_tenant text, p_thread text) returns jsonb
language plpgsql as $$
declare
  ct text := checkpoint_thread_id(p_tenant, p_thread);
  ids jsonb;
  other record;
  live jsonb;
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  for other in (select run_id, status, attempt from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'running')
      union all (select run_id, status, attempt from runs where tenant_id = p_tenant and thread_id = p_thread and status = 'pending')
      order by run_id loop
    perform 1 from runs where run_id = other.run_id for update;
    if other.status = 'pending' then
      perform cancel_pending_run(other.run_id, p_tenant, p_thread, 'interrupt', 'the thread is being deleted');
    else
      update runs set cancel_action = coalesce(cancel_action, 'interrupt'), cancel_reason = 'the thread is being deleted'
       where run_id = other.run_id;
      live := jsonb_build_object('run_id', other.run_id, 'attempt', other.attempt);
    end if;
  end loop;
  if live is not null then return jsonb_build_object('outcome', 'running', 'running', live); end if;
  with gone as (delete from runs where tenant_id = p_tenant and thread_id = p_thread returning run_id)
    select coalesce(jsonb_agg(run_id), '[]') into ids from gone;
  delete from checkpoints where thread_id = ct;
  delete from checkpoint_writes where thread_id = ct;
  delete from checkpoint_blobs where thread_id = ct;
  delete from overwritten_writes where thread_id = ct;
  delete from overwritten_checkpoints where thread_id = ct;
  delete from idempotency_keys where tenant_id = p_tenant and thread_id = p_thread;
  delete from threads where tenant_id = p_tenant and thread_id = p_thread;
  return jsonb_build_object('outcome', 'deleted', 'run_ids', ids);
end $$;
