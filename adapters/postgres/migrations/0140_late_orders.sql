-- Since when a returned host reports a decky as it should be. An order that was sent before may still come out of its socket.
alter table owed_reconciles add column as_it_should_since timestamptz;
