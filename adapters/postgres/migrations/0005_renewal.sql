-- When the certificate ends that was issued and not seen in use yet: the one in use keeps its own end until then.
alter table swarm_hosts add column next_cert_not_after timestamptz;
create index swarm_hosts_by_fingerprint on swarm_hosts (client_cert_fingerprint);
