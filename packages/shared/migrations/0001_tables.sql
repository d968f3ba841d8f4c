-- Tables of Flotilla. LangGraph's own checkpoint tables are made by PostgresSaver.setup(), see 0002.
-- Every table carries the tenant, and every query filters by it.

create table api_keys (
  key_id      uuid primary key,
  tenant_id   text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  name        text not null,
  prefix      text not null,                    -- first characters of the key, to recognise it in a list
  hash        bytea not null unique,            -- sha256 of the whole key; the key itself is never stored
  created_at  timestamptz not null default now(),
  revoked_at  timestamptz
);

create table assistants (
  tenant_id    text not null,
  assistant_id uuid not null,
  graph_id     text not null,
  name         text not null,
  description  text,
  version      int not null default 1 check (version > 0),
  config       jsonb not null default '{}',
  context      jsonb not null default '{}',
  metadata     jsonb not null default '{}',
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  primary key (tenant_id, assistant_id)
);

create table assistant_versions (
  tenant_id    text not null,
  assistant_id uuid not null,
  version      int not null check (version > 0),
  graph_id     text not null,
  name         text not null,
  description  text,
  config       jsonb not null,
  context      jsonb not null,
  metadata     jsonb not null,
  created_at   timestamptz not null default now(),
  primary key (tenant_id, assistant_id, version),
  foreign key (tenant_id, assistant_id) references assistants on delete cascade
);

create table threads (
  tenant_id        text not null,
  thread_id        text not null check (thread_id ~ '^[A-Za-z0-9._:@-]{1,255}$' and thread_id not in ('.', '..')),
  graph_id         text,                        -- set by the first run
  status           text not null default 'idle' check (status in ('idle', 'busy', 'interrupted', 'error')),
  -- What the status is when no run is in flight. A rollback returns to it.
  settled_status   text not null default 'idle' check (settled_status in ('idle', 'interrupted', 'error')),
  metadata         jsonb not null default '{}',
  config           jsonb not null default '{}',
  "values"         jsonb,                       -- root state after the last settle or edit
  values_run_id    uuid,                        -- the run whose settle wrote it; null after an edit
  interrupts       jsonb not null default '{}', -- task id -> [{id, value}], the questions that wait
  error            jsonb,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now(),
  state_updated_at timestamptz,
  -- Set when a run that had begun ended without its worker: "values" and interrupts are older than the checkpoints, and from
  -- this moment on somebody has to read them again.
  state_stale_at   timestamptz,
  primary key (tenant_id, thread_id)
) with (fillfactor = 80);

create index threads_stale on threads (state_stale_at) where state_stale_at is not null;

create table runs (
  run_id             uuid primary key,
  tenant_id          text not null,
  thread_id          text not null,
  assistant_id       uuid not null,
  graph_id           text not null,
  seq                bigint not null generated always as identity, -- order of acceptance
  status             text not null default 'pending'
                     check (status in ('pending', 'running', 'success', 'error', 'timeout', 'interrupted')),

  -- What was asked for. kwargs is json, not jsonb: user text may hold \u0000 and lone surrogates, which jsonb refuses.
  kwargs             json not null,
  resume_map         json,                      -- {interrupt id: answer}, fixed at submission or at the first claim
  metadata           jsonb not null default '{}',
  multitask_strategy text not null default 'enqueue'
                     check (multitask_strategy in ('reject', 'enqueue', 'interrupt', 'rollback')),

  -- The attempt: counts claims and only ever grows; it is the fencing token of every later write.
  attempt            int not null default 0,
  holder             text,
  lease_expires_at   timestamptz,
  base_seq           bigint,                    -- latest root checkpoint of the thread at the first claim
  claimed_seq        bigint,                    -- the last checkpoint of all at the last claim: what is above is progress
  handed_over_at     text,                      -- checkpoint id at the last hand-over
  losses             int not null default 0,    -- leases lost in a row without a new checkpoint
  solo_losses        int not null default 0,    -- of these, while the run had a holder to itself
  solo               boolean not null default false,
  story              jsonb not null default '[]', -- how earlier attempts ended

  -- The way to the queue.
  available_at       timestamptz not null,      -- earliest start; never changes after the first claim
  retry_at           timestamptz,               -- back-off after a loss; holds the thread
  ready_at           timestamptz,               -- when the sweep has to look at this run
  dispatched_at      timestamptz,               -- put on the queue, as far as we know
  dispatch           int not null default 0,    -- counts dispatches: a BullMQ job id is used once only
  released_at        timestamptz,               -- runnable since; room for admission by tenant

  cancel_action      text check (cancel_action in ('interrupt', 'rollback')),
  cancel_reason      text,
  error              jsonb,                     -- {error, message}
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  started_at         timestamptz,
  ended_at           timestamptz,

  foreign key (tenant_id, thread_id) references threads,
  constraint held_while_running check ((status = 'running') = (holder is not null and lease_expires_at is not null)),
  constraint ended_when_final check ((status in ('pending', 'running')) = (ended_at is null)),
  constraint claimed_when_running check (status <> 'running' or attempt > 0),
  constraint error_when_failed check (status not in ('error', 'timeout') or error is not null)
) with (fillfactor = 70);

-- The database itself serialises a thread: one running run.
create unique index runs_running on runs (tenant_id, thread_id) where status = 'running';
create index runs_waiting on runs (tenant_id, thread_id, available_at, seq) where status = 'pending';
create index runs_ready on runs (ready_at) where status = 'pending' and ready_at is not null;
create index runs_dispatched on runs (dispatched_at) where status = 'pending' and dispatched_at is not null;
create index runs_released on runs (released_at) where status = 'pending' and released_at is not null;
create index runs_of_thread on runs (tenant_id, thread_id, seq desc);

create table idempotency_keys (
  tenant_id    text not null,
  key          text not null check (length(key) between 1 and 255),
  request_hash text not null,
  run_id       uuid not null,
  thread_id    text not null,
  created_at   timestamptz not null default now(),
  primary key (tenant_id, key)
);
create index idempotency_keys_of_thread on idempotency_keys (tenant_id, thread_id);
create index idempotency_keys_age on idempotency_keys (created_at);
