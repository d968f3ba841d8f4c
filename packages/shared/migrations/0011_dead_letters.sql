-- Dead letters: runs that ended because they could not be executed. What is kept of them, and new runs in their place.

alter table runs
  add column retry_of        uuid,         -- the run of the same thread that this one was made to replay
  add column acknowledged_at timestamptz;  -- a dead letter that somebody has dealt with: it is not listed any more

-- Whether a run ended because it could not be executed: it lost too many workers or could not be started, its time over all
-- attempts ran out, the worker could not load its graph, or Postgres refused its result. What the graph itself throws is no dead
-- letter, unless it goes by one of these names. Simple enough for the planner to put in place: the index below is found by it.
create function is_dead_letter(p_status text, p_error jsonb) returns boolean
language sql immutable parallel safe as $$
  select p_status in ('error', 'timeout') and p_error ->> 'error' in ('PoisonRun', 'RunTimedOut', 'GraphNotLoaded', 'ResultNotStored')
$$;
drop index runs_dead_letters;
create index runs_dead_letters on runs (tenant_id, ended_at, run_id) where is_dead_letter(status, error) and acknowledged_at is null;
create index runs_retries on runs (retry_of) where retry_of is not null;

-- How the process that executed a run alone died, and what it printed last. Of a run only the newest lines are kept.
create table child_deaths (
  run_id        uuid not null references runs on delete cascade,
  tenant_id     text not null,
  attempt       int not null,
  claimed       boolean not null,             -- whether the attempt had begun; a child that dies before is one of attempt + 1
  exit_code     int,
  signal        text,
  out_of_memory boolean not null,
  lines         text[] not null default '{}', -- without the values of secrets
  at            timestamptz not null default clock_timestamp(),
  primary key (run_id, attempt, claimed)
);

-- As in 0003, but that an attempt's chapter says when it began, and after a loss which checkpoint was its last.
--
-- Ends an attempt, whoever does it. p_outcome is what the attempt came to:
--   success, error, timeout, interrupted   the run is over
--   handed_over                            back to pending, another worker goes on at once; not counted
--   lost                                   the lease ran out; p_counts says whether that may count as a crash
-- A cancel recorded before this moment wins over p_outcome: rollback deletes the run, interrupt ends it as interrupted.
-- Returns {outcome: fenced | settled, status, action, thread_id, next}: next is the dispatch of the thread's new head.
create or replace function settle_run(
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

  if final in ('handed_over', 'lost') then
    -- Read under the lock, which has waited for a checkpoint in flight: the worker may not know of it.
    stored_id := (select k.checkpoint_id from checkpoints k
                   where k.thread_id = checkpoint_thread_id(r.tenant_id, r.thread_id) and k.checkpoint_ns = ''
                     and k.seq > r.base_seq and k.run_id = p_run order by k.seq desc limit 1);
  end if;
  -- While a run is running nothing but its claim has touched updated_at: a renewal and a recorded cancel leave it alone.
  chapter := jsonb_build_object('attempt', r.attempt, 'holder', r.holder, 'ended', final, 'reason', p_reason,
                                'began', r.updated_at, 'at', clock_timestamp(), 'checkpoint_id', coalesce(p_checkpoint_id, stored_id));
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

-- Makes a run that replays p_run, on its thread. The caller has read where the thread stands, has decided by it what the new run
-- is to do, and says under which condition that is right; here it is looked at again, under the lock of the thread's row.
--   p_latest: the thread's latest root checkpoint must be this one (null: it has none) and no run of it in flight; looked at if p_at_rest.
--   p_answers: the answers that the old run gave to questions, as they were fixed then, go along.
--   p_force: also when another replay of the same run is in flight or has succeeded.
-- Returns what create_run does, or {outcome: missing | retried | moved, run_id, status}.
create function replay_run(
  p_tenant text, p_run uuid, p_retry uuid, p_kwargs json, p_answers boolean, p_at_rest boolean, p_latest text, p_force boolean
) returns jsonb
language plpgsql as $$
declare
  r runs%rowtype;
  other record;
  created jsonb;
begin
  select * into r from runs where run_id = p_run;
  if not found or r.tenant_id <> p_tenant then return jsonb_build_object('outcome', 'missing'); end if;
  perform 1 from threads where tenant_id = p_tenant and thread_id = r.thread_id for update;
  select * into r from runs where run_id = p_run;
  if not found or not is_dead_letter(r.status, r.error) then return jsonb_build_object('outcome', 'missing'); end if;
  if not p_force then
    select run_id, status into other from runs
     where retry_of = p_run and tenant_id = p_tenant and status in ('pending', 'running', 'success') order by seq desc limit 1;
    if found then return jsonb_build_object('outcome', 'retried', 'run_id', other.run_id, 'status', other.status); end if;
  end if;
  if p_at_rest and (has_run_in_flight(p_tenant, r.thread_id) or p_latest is distinct from (
       select checkpoint_id from checkpoints where thread_id = checkpoint_thread_id(p_tenant, r.thread_id) and checkpoint_ns = ''
        order by seq desc limit 1)) then
    return jsonb_build_object('outcome', 'moved');
  end if;
  created := create_run(
    p_tenant => p_tenant, p_thread => r.thread_id, p_thread_must_exist => true, p_bind_graph => false, p_temporary => false,
    p_run => p_retry, p_assistant => r.assistant_id, p_graph => r.graph_id, p_kwargs => p_kwargs, p_metadata => r.metadata,
    p_assistant_metadata => null, p_thread_metadata => '{}', p_strategy => 'enqueue', p_delay_seconds => 0, p_resume => null,
    p_interrupts => null, p_answer => null, p_key => null, p_hash => null);
  if created ->> 'outcome' = 'created' then
    update runs set retry_of = p_run, resume_map = case when p_answers then r.resume_map end where run_id = p_retry;
  end if;
  return created;
end $$;
