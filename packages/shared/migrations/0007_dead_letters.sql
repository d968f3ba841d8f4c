-- Runs that are not tried again because they lost too many workers, or could not be started: few, and counted at every scrape.
create index runs_dead_letters on runs (tenant_id, ended_at) where status = 'error' and error ->> 'error' = 'PoisonRun';
