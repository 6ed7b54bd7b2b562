-- Who changed what, when, from where, before and after. An entry is written before the change and completed after it: one
-- without a status tells of a master that died in between. Never a body, a password, a key or a service's configuration.
create table audit (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  listener text not null check (listener in ('operators', 'swarm')),
  -- null: nobody who is known.
  username text,
  peer text,
  request_id text not null,
  method text not null,
  path text not null,
  subject_kind text,
  subject_name text,
  request jsonb not null default '{}',
  before jsonb,
  after jsonb,
  status integer,
  error_code text
);
create index audit_by_user on audit (username, id desc);
