-- True where the deploy moves the fleet to another network: what hangs on the old one goes before anything comes.
alter table deployments add column network_moved boolean not null default false;
