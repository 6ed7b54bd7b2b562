-- What the master's own engine has of a decky after a failure, and a clean-up did not put right: it is tried again with each look.
create table owed_clean_ups (
  decky_name text primary key,
  since timestamptz not null default now()
);
