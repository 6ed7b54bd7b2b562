-- Drift, and deckies that an operator stopped (docs/convergence.md).

alter table fleet_deckies add column stopped boolean not null default false;
alter table fleet_deckies drop constraint fleet_deckies_state_check;
alter table fleet_deckies add constraint fleet_deckies_state_check check
  (state in ('pending', 'running', 'failed', 'torn_down', 'degraded', 'tearing_down', 'teardown_failed', 'stopped'));
-- Which kinds there are stands in the code (OperationKind); a list here too would have to be changed with each of them.
alter table deployments drop constraint if exists deployments_kind_check;

-- How what runs on an engine differs from what should, as last seen.
create table drift (
  id text primary key default gen_random_uuid()::text,
  -- 'local': the master's own engine.
  host_uuid text not null,
  decky_name text not null,
  reason text not null check
    (reason in ('missing', 'exited', 'other_image', 'other_configuration', 'orphan', 'moved_address')),
  detail text not null,
  since timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  unique (host_uuid, decky_name, reason)
);
create index drift_by_decky on drift (decky_name);

-- Engines that give no answer: what runs there is unknown. No row: it answered, or was never looked at.
create table silent_engines (
  host_uuid text primary key,
  why text not null,
  since timestamptz not null default now()
);

create function announce_drift() returns trigger language plpgsql as $$
declare
  d drift;
  word text;
begin
  if tg_op = 'DELETE' then d := old; word := 'ended'; else d := new; word := 'begun'; end if;
  insert into outbox (message_id, decky_name, type, payload) values (
    'drift-' || d.id || ':' || word, d.decky_name, 'drift',
    jsonb_build_object('status', word, 'reason', d.reason, 'detail', d.detail, 'host_uuid', nullif(d.host_uuid, 'local')));
  return null;
end $$;
create trigger announce_drift after insert or delete on drift for each row execute function announce_drift();
