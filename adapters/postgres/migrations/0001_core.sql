-- Requests, fleet, lifecycle rows, lanes and the outbox (docs/design.md). Who may write what: docs/states/.

create function iso(moment timestamptz) returns text language sql immutable as
  $$ select to_char(moment at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

create table settings (
  key text primary key,
  value jsonb not null,
  updated_at timestamptz not null default now()
);

-- One accepted or refused operation: a deploy of many deckies, or a teardown of one (then id is its lifecycle id).
create table deployments (
  id text primary key,
  kind text not null check (kind in ('deploy', 'teardown')),
  workflow_id text not null,
  state text not null default 'received' check (state in ('received', 'accepted', 'refused', 'withdrawn')),
  username text not null,
  request jsonb not null,
  options jsonb not null,
  network jsonb,
  mode text,
  warnings jsonb not null default '[]',
  refusal jsonb,
  outcome text,
  received_at timestamptz not null default now(),
  decided_at timestamptz,
  ended_at timestamptz
);
create index deployments_by_time on deployments (received_at desc);

create table idempotency_keys (
  username text not null,
  route text not null,
  key text not null,
  body_hash text not null,
  deployment_id text not null references deployments (id) on delete cascade,
  created_at timestamptz not null default now(),
  primary key (username, route, key)
);
create index idempotency_keys_by_deployment on idempotency_keys (deployment_id);

create table fleet_deckies (
  host_uuid text not null default 'local',
  name text not null,
  services jsonb not null,
  decky_config jsonb not null,
  custom_services jsonb not null default '[]',
  decky_ip text not null,
  state text not null default 'pending'
    check (state in ('pending', 'running', 'failed', 'torn_down', 'degraded', 'tearing_down', 'teardown_failed')),
  last_error text,
  compose_hash text,
  last_seen timestamptz,
  -- The last version that came up, {config, custom_services}; null until one did ("not established").
  established jsonb,
  updated_at timestamptz not null default now(),
  primary key (host_uuid, name)
);
create unique index fleet_deckies_name on fleet_deckies (name);

create table decky_lifecycle (
  id text primary key,
  decky_name text not null,
  host_uuid text,
  operation text not null check (operation in ('deploy', 'mutate', 'teardown')),
  status text not null default 'pending' check (status in ('pending', 'running', 'succeeded', 'failed')),
  error text check (length(error) <= 2000),
  step text,
  attempt integer not null default 0,
  deployment_id text references deployments (id) on delete cascade,
  workflow_id text not null,
  position integer not null default 0,
  dispatched_at timestamptz,
  started_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  completed_at timestamptz
);
create index decky_lifecycle_by_deployment on decky_lifecycle (deployment_id, position);
create index decky_lifecycle_by_decky on decky_lifecycle (decky_name, started_at desc);
create index decky_lifecycle_open on decky_lifecycle (workflow_id) where status in ('pending', 'running');
-- Promise 2: no two open rows for one decky.
create unique index decky_lifecycle_one_open on decky_lifecycle (decky_name) where status in ('pending', 'running');

-- The lane of a host: its lowest open ticket runs.
create table host_tickets (
  host_uuid text not null,
  number bigint not null,
  operation_id text not null,
  workflow_id text not null,
  opened_at timestamptz not null default now(),
  closed_at timestamptz,
  primary key (host_uuid, number),
  unique (host_uuid, operation_id)
);
create index host_tickets_open on host_tickets (host_uuid, number) where closed_at is null;

create table outbox (
  id bigint generated always as identity primary key,
  message_id text not null unique,
  decky_name text not null,
  type text not null,
  event_id text not null default replace(gen_random_uuid()::text, '-', ''),
  ts double precision not null default extract(epoch from clock_timestamp()),
  payload jsonb not null,
  sent_at timestamptz
);
create index outbox_unsent on outbox (id) where sent_at is null;

-- Promise 2: a row that has ended never changes; states only move forward; only an ended row has completed_at.
create function guard_lifecycle() returns trigger language plpgsql as $$
begin
  if old.status in ('succeeded', 'failed') then
    raise exception 'lifecycle row % has ended as % and never changes', old.id, old.status using errcode = 'DH001';
  end if;
  if new.status <> old.status and not (
    (old.status = 'pending' and new.status in ('running', 'failed')) or
    (old.status = 'running' and new.status in ('succeeded', 'failed'))
  ) then
    raise exception 'lifecycle row %: % does not follow %', old.id, new.status, old.status using errcode = 'DH002';
  end if;
  if (new.id, new.decky_name, new.operation, new.started_at) is distinct from (old.id, old.decky_name, old.operation, old.started_at) then
    raise exception 'lifecycle row %: what it is about never changes', old.id using errcode = 'DH003';
  end if;
  new.updated_at := clock_timestamp();
  new.completed_at := case when new.status in ('succeeded', 'failed') then coalesce(new.completed_at, clock_timestamp()) end;
  return new;
end $$;
create trigger guard_lifecycle before update on decky_lifecycle for each row execute function guard_lifecycle();

-- Promise 5: the event is written in the transaction that changes the row.
create function announce_lifecycle() returns trigger language plpgsql as $$
begin
  insert into outbox (message_id, decky_name, type, payload) values (
    new.id || ':' || new.status,
    new.decky_name,
    'lifecycle',
    jsonb_build_object('lifecycle_id', new.id, 'operation', new.operation, 'status', new.status)
      || case when new.error is null then '{}'::jsonb else jsonb_build_object('error', new.error) end
  );
  return null;
end $$;
create trigger announce_lifecycle after update on decky_lifecycle for each row
  when (old.status is distinct from new.status) execute function announce_lifecycle();
