-- Hosts with an agent, what they report, and how they are enrolled (docs/wire.md#shards; docs/states/host.md).

create table swarm_hosts (
  uuid text primary key,
  name text not null unique,
  address text not null,
  agent_port integer not null default 8765,
  status text not null default 'enrolled' check (status in ('enrolled', 'active', 'unreachable')),
  -- The last sign of life: a heartbeat, or an answer to a call.
  last_heartbeat timestamptz,
  client_cert_fingerprint text not null,
  -- While a renewal is under way: the certificate that was issued and not seen in use yet.
  next_cert_fingerprint text,
  cert_not_after timestamptz,
  updater_cert_fingerprint text,
  cert_bundle_path text not null default '',
  enrolled_at timestamptz not null default now(),
  notes text,
  use_ipvlan boolean not null default false,
  -- Takes no new deckies.
  draining boolean not null default false,
  -- True once it is known to be an agent of ours: its reports carry fences.
  fenced boolean not null default false,
  agent_version text,
  -- The host's clock minus ours, in milliseconds, as measured with the last answer of its agent.
  clock_offset_ms double precision not null default 0,
  -- SHA-256 of the last status that was taken in: an unchanged one costs one statement.
  report_hash text,
  -- An operator asked for a new certificate: the agent is told with its next heartbeat.
  renew_requested boolean not null default false
);

-- A removed host's certificates, until they would have expired anyway: a host is out at once.
create table revoked_certificates (
  fingerprint text primary key,
  host_name text not null,
  revoked_at timestamptz not null default now(),
  expires_at timestamptz
);

-- One-shot tokens of our own enrolment; only the SHA-256 is kept.
create table enrollment_tokens (
  token_hash text primary key,
  host_uuid text not null,
  name text not null,
  address text not null,
  agent_port integer not null default 8765,
  sans jsonb not null default '[]',
  notes text,
  use_ipvlan boolean not null default false,
  expires_at timestamptz not null,
  used_at timestamptz
);

-- What each host last said of its deckies (DECNET: decky_shards). The fleet's own truth is fleet_deckies.
create table decky_shards (
  host_uuid text not null references swarm_hosts (uuid) on delete cascade,
  decky_name text not null,
  services jsonb not null,
  decky_config jsonb,
  decky_ip text,
  state text not null default 'pending'
    check (state in ('pending', 'running', 'failed', 'torn_down', 'degraded', 'tearing_down', 'teardown_failed')),
  last_error text,
  compose_hash text,
  last_seen timestamptz,
  updated_at timestamptz not null default now(),
  primary key (host_uuid, decky_name)
);

-- What an agent without fences may report on: the row was sent to it, and when (docs/differences.md#agents). Local rows have it too; it does no harm.
create function stamp_dispatch() returns trigger language plpgsql as $$
begin
  if new.status = 'running' and new.dispatched_at is null then
    new.dispatched_at := clock_timestamp();
  end if;
  return new;
end $$;
create trigger stamp_dispatch before update on decky_lifecycle for each row execute function stamp_dispatch();
