-- The address that a request came from; null where the relay acted itself, and in entries from before.
alter table audit add column address text;
