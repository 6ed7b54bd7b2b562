-- Teardowns that their host still owes: it could not be reached, so the row has ended and the decky is `tearing_down` until
-- the host is back and a new teardown begins by itself (docs/states/row.md).
create table owed_teardowns (
  host_uuid text not null references swarm_hosts (uuid) on delete cascade,
  decky_name text not null,
  since timestamptz not null default now(),
  primary key (host_uuid, decky_name)
);
