-- Deckies whose host may have carried out what was given up: compared when the host is back, and put right by a reconcile
-- where they differ (docs/states/row.md).
create table owed_reconciles (
  host_uuid text not null references swarm_hosts (uuid) on delete cascade,
  decky_name text not null,
  -- For people: which operation was given up, and as what.
  why text not null,
  since timestamptz not null default now(),
  primary key (host_uuid, decky_name)
);
