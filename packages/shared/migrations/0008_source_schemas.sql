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
