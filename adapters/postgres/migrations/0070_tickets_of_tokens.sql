-- A ticket counts no longer than the token that asked for it: the stream ends with that token's logout, its end, or a change
-- of password. Tickets live for a minute; those from before, which know no token, count no more.
alter table sse_tickets
  add column token_jti text not null default '',
  add column token_iat bigint not null default 0,
  add column token_exp bigint not null default 0;
