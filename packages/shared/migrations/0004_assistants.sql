-- Assistants of the Agent Server API.

-- The graph whose default assistant a row is; null for those that a client made. The id says it too, but only as a hash.
alter table assistants add column default_of text;

create index assistants_metadata on assistants using gin (metadata jsonb_path_ops);
create index assistants_newest on assistants (tenant_id, created_at desc, assistant_id);

-- A cache of what the TypeScript sources of the server's graphs say about their states: the compiler takes seconds. It has no
-- tenant, as graphs have none.
create table graph_source_schemas (
  source_hash text not null,                    -- sha256 of the graph's file
  export_name text not null,
  schemas     jsonb,                            -- null: it failed
  files       jsonb not null,                   -- what else it was read from: path from the graph's file -> sha256
  derived_at  timestamptz not null default now(),
  primary key (source_hash, export_name)
);
