-- Results of once(key, fn): what a task of a graph has done outside, so that it is not done again when the task runs again.
-- The idempotency key is derived from thread, task and key: it is the record's address as well.
create table once_records (
  tenant_id       text not null,
  idempotency_key uuid not null,
  -- Who stored it. A run that is rolled back or erased, with its thread or alone, takes its records along.
  run_id          uuid not null references runs on delete cascade,
  attempt         int not null,
  thread_id       text not null,
  task_id         text not null,
  key             text not null check (length(key) between 1 and 255),
  result          text not null,      -- JSON, as in checkpoints; text, because it may hold \u0000
  created_at      timestamptz not null default clock_timestamp(),
  primary key (tenant_id, idempotency_key)
);
create index once_records_of_run on once_records (run_id);
create index once_records_of_thread on once_records (tenant_id, thread_id, created_at);
create index once_records_age on once_records (created_at);
