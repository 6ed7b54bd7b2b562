-- Mutations and their rotation by the clock (docs/rotation.md).
alter table deployments drop constraint deployments_kind_check;
alter table deployments add constraint deployments_kind_check check (kind in ('deploy', 'teardown', 'mutate'));

-- A decky's interval is inherit | off | minutes: minutes stand in its configuration, null there means inherit, and this is off.
alter table fleet_deckies add column rotation_off boolean not null default false;

-- A rotation that made no row, and why; the id is that of its request.
create table rotation_skips (
  id text primary key,
  decky_name text not null,
  reason text not null,
  skipped_at timestamptz not null default now()
);
create index rotation_skips_by_decky on rotation_skips (decky_name, skipped_at desc);
