-- The Agent Server's way to submit a run: merged metadata, threads that are made or needed, runs without a thread of their own,
-- answers that are looked at when the run is claimed.

-- A thread that was made for one run without a thread (`POST /runs`). It is not found any more when that run has ended, and
-- erased with everything when its stream is not kept any more; until then whoever waits or reconnects gets the end.
alter table threads add column temporary boolean not null default false;
create index threads_temporary on threads (updated_at) where temporary;

drop function create_run(text, text, boolean, boolean, uuid, uuid, text, json, jsonb, jsonb, text, double precision, text, text[], json, text, text);

-- Accepts a run. Returns {outcome, …}: created, replayed, key_reused, thread_missing, other_graph, thread_busy,
-- not_interrupted, unknown_interrupt, several_interrupts, state_stale (which questions wait has to be read again first).
-- Any outcome but created and replayed leaves nothing behind.
--   p_bind_graph: a thread of another graph is refused; otherwise the thread becomes one of this graph.
--   p_assistant_metadata: null, or what goes under the run's metadata, with the thread's own in between.
--   p_thread_metadata goes over the thread's own; a thread that the run makes gets the run's metadata too, if that is merged.
--   p_resume: null, or how the run answers questions. 'only' (the one that waits), 'named' (p_interrupts holds its id) and 'map'
--   (p_answer is a map whose keys are p_interrupts) must be waiting now. 'if_waiting' is the one that waits, if that is known
--   now; with several it is refused, and behind other runs it is looked at when the run is claimed. p_answer is carried as it
--   is: the JSON functions of Postgres refuse NUL and lone surrogates as soon as they look into a text.
create function create_run(
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

  -- With no other run in flight the new one is the head of its thread: it is dispatched by the insert itself.
  run_now := clock_timestamp();
  at_once := not in_flight and p_delay_seconds <= 0;
  merged := case when p_assistant_metadata is null then p_metadata
                 else p_assistant_metadata || coalesce(t.metadata, '{}') || p_metadata end;
  insert into runs (run_id, tenant_id, thread_id, assistant_id, graph_id, kwargs, resume_map, metadata, multitask_strategy,
                    available_at, ready_at, created_at, updated_at, dispatched_at, released_at, dispatch)
    values (p_run, p_tenant, p_thread, p_assistant, p_graph, p_kwargs, answers, merged, p_strategy,
            run_now + make_interval(secs => p_delay_seconds),
            case when p_delay_seconds > 0 then run_now + make_interval(secs => p_delay_seconds) end, run_now, run_now,
            case when at_once then run_now end, case when at_once then run_now end, at_once::int);
  if not fresh then
    update threads set status = 'busy', updated_at = run_now,
                       graph_id = case when p_bind_graph then coalesce(graph_id, p_graph) else p_graph end,
                       metadata = metadata || p_thread_metadata
     where tenant_id = p_tenant and thread_id = p_thread;
  end if;
  if at_once then
    dispatched := jsonb_build_object('run_id', p_run, 'attempt', 0, 'dispatch', 1,
                                     'dispatched_at', floor(extract(epoch from run_now) * 1000));
  elsif p_delay_seconds <= 0 then
    dispatched := release_head(p_tenant, p_thread);
  end if;
  return jsonb_build_object('outcome', 'created', 'dispatch', dispatched, 'cancelled', cancelled, 'created_at', run_now,
                            'metadata', merged);
end $$;

-- Erases a run that has ended, with the checkpoints and writes that carry its id. Returns {outcome: missing | active | deleted}.
-- The thread's row has to be read from the checkpoints that are left: it is stale until then.
create function delete_run(p_tenant text, p_thread text, p_run uuid) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
begin
  perform 1 from threads where tenant_id = p_tenant and thread_id = p_thread for update;
  select * into r from runs where run_id = p_run and tenant_id = p_tenant and thread_id = p_thread for update;
  if not found then return jsonb_build_object('outcome', 'missing'); end if;
  if r.status in ('pending', 'running') then return jsonb_build_object('outcome', 'active'); end if;
  perform rollback_run(p_run, p_tenant, p_thread);
  update threads set state_stale_at = clock_timestamp(), updated_at = clock_timestamp()
   where tenant_id = p_tenant and thread_id = p_thread;
  return jsonb_build_object('outcome', 'deleted');
end $$;

-- Which runs of a tenant a cancel of many meets, and the runs of a tenant by time.
create index runs_active_of_tenant on runs (tenant_id, seq) where status in ('pending', 'running');
