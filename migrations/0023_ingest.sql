-- The scope of keys that only bring messages in.
alter table api_keys drop constraint api_keys_scope_check;
alter table api_keys add constraint api_keys_scope_check check (scope in ('ingest', 'read', 'write', 'admin'));
