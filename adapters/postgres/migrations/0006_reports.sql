-- The last heartbeat, which the shards' last_seen follows, and when a report was last taken in wholly (the hash stands for it).
alter table swarm_hosts add column reported_at timestamptz;
alter table swarm_hosts add column report_taken_at timestamptz;
