-- Nullable columns on LangGraph's checkpoint tables, which the stock saver ignores, so that threads move both ways.
-- run_id says who wrote a row (the resume rule and the rollback read it), seq says in which order Postgres stored it:
-- checkpoint ids are a worker's clock and decide nothing.

alter table checkpoints add column if not exists run_id uuid;
alter table checkpoints add column if not exists seq bigint;
alter table checkpoints add column if not exists events bigint; -- that the attempt had appended, see event-log.ts
alter table checkpoint_blobs add column if not exists run_id uuid;
alter table checkpoint_writes add column if not exists run_id uuid;
alter table checkpoint_writes add column if not exists task_path text not null default '';

create sequence if not exists checkpoints_seq owned by checkpoints.seq;
with ordered as (
  select thread_id, checkpoint_ns, checkpoint_id, row_number() over (order by checkpoint_id, thread_id, checkpoint_ns) as n
  from checkpoints where seq is null
)
update checkpoints c set seq = o.n from ordered o
where c.thread_id = o.thread_id and c.checkpoint_ns = o.checkpoint_ns and c.checkpoint_id = o.checkpoint_id;
select setval('checkpoints_seq', coalesce((select max(seq) from checkpoints), 0) + 1);
alter table checkpoints alter column seq set default nextval('checkpoints_seq');
alter table checkpoints alter column seq set not null;
create unique index checkpoints_latest on checkpoints (thread_id, checkpoint_ns, seq);

-- Images of rows of one run that another run overwrote. A rollback puts them back.
create table overwritten_writes (
  overwritten_by uuid not null,
  thread_id text not null, checkpoint_ns text not null, checkpoint_id text not null, task_id text not null, idx int not null,
  channel text not null, type text, blob bytea not null, run_id uuid, task_path text not null,
  primary key (overwritten_by, thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
);
create index overwritten_writes_of_thread on overwritten_writes (thread_id);
create table overwritten_checkpoints (
  overwritten_by uuid not null,
  thread_id text not null, checkpoint_ns text not null, checkpoint_id text not null,
  parent_checkpoint_id text, checkpoint jsonb not null, metadata jsonb not null, run_id uuid, seq bigint not null,
  primary key (overwritten_by, thread_id, checkpoint_ns, checkpoint_id)
);
create index overwritten_checkpoints_of_thread on overwritten_checkpoints (thread_id);

-- Thread ids are unique per tenant; in the checkpoint tables they carry the tenant, but for the default one.
create function checkpoint_thread_id(p_tenant text, p_thread text) returns text
language sql immutable parallel safe as $$
  select case p_tenant when 'default' then p_thread else p_tenant || '/' || p_thread end
$$;
