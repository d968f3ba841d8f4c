-- Assistants of the Agent Server API.

-- The graph whose default assistant a row is; null for those that a client made. The id says it too, but only as a hash.
alter table assistants add column default_of text;

create index assistants_metadata on assistants using gin (metadata jsonb_path_ops);
create index assistants_newest on assistants (tenant_id, created_at desc, assistant_id);
