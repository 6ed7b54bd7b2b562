-- Who may use the operators' API, and which of their tokens no longer count (docs/wire.md#login-and-tokens).

create table users (
  uuid text primary key,
  username text not null unique,
  -- argon2id, PHC string.
  password_hash text not null,
  role text not null check (role in ('admin', 'viewer')),
  must_change_password boolean not null default true,
  -- Epoch seconds: a token whose `iat` is smaller does not count. Grows with every change of the password.
  tokens_valid_from bigint not null default 0,
  created_at timestamptz not null default clock_timestamp()
);

-- Tokens of which the owner logged out; kept until they would have expired anyway.
create table revoked_tokens (
  jti text primary key,
  expires_at timestamptz not null
);
create index revoked_tokens_by_expiry on revoked_tokens (expires_at);

-- Single-use tickets for event streams; only the SHA-256 of a ticket is kept.
create table sse_tickets (
  ticket_hash text primary key,
  user_uuid text not null references users (uuid) on delete cascade,
  expires_at timestamptz not null
);
create index sse_tickets_by_expiry on sse_tickets (expires_at);
