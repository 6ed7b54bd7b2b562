-- Who sends the outbox now. A lease with an end, and not a lock: a lock lives as long as its connection, and the connection of a
-- process that is stopped or cut off lives on.
create table outbox_lease (
  only_row boolean primary key default true check (only_row),
  holder text,
  expires_at timestamptz not null default '-infinity',
  -- Another one came while it was held: the holder looks once more before it lets go.
  wanted boolean not null default false
);
insert into outbox_lease default values;
