-- One insert of events for each statement that moves rows, and one trigger instead of two before it: a shard moves 50 rows at a
-- time, and the functions' own cost, row by row, was most of what PostgreSQL did in a deploy over 200 hosts.

drop trigger announce_lifecycle on decky_lifecycle;
create or replace function announce_lifecycle() returns trigger language plpgsql as $$
begin
  insert into outbox (message_id, decky_name, type, payload)
  select n.id || ':' || n.status, n.decky_name, 'lifecycle',
    jsonb_build_object('lifecycle_id', n.id, 'operation', n.operation, 'status', n.status)
      || case when n.error is null then '{}'::jsonb else jsonb_build_object('error', n.error) end
  from new_rows n join old_rows o on o.id = n.id
  where n.status is distinct from o.status order by n.position, n.id;
  return null;
end $$;
create trigger announce_lifecycle after update on decky_lifecycle
  referencing old table as old_rows new table as new_rows
  for each statement execute function announce_lifecycle();

-- What an agent without fences may report on: a row that was sent to it, and when.
drop trigger stamp_dispatch on decky_lifecycle;
drop function stamp_dispatch();
create or replace function guard_lifecycle() returns trigger language plpgsql as $$
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
  if new.status = 'running' and new.dispatched_at is null then
    new.dispatched_at := new.updated_at;
  end if;
  new.completed_at := case when new.status in ('succeeded', 'failed') then coalesce(new.completed_at, new.updated_at) end;
  return new;
end $$;
