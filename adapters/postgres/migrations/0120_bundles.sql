-- One-shot tokens of DECNET's enrolment by bundle. The token itself is told once; its SHA-256 is kept until it is spent.
create table enrollment_bundles (
  token_hash text primary key,
  host_uuid text not null references swarm_hosts (uuid) on delete cascade,
  master_host text not null,
  agent_name text not null,
  with_updater boolean not null,
  use_ipvlan boolean not null,
  services_ini text,
  expires_at timestamptz not null
);
