-- The x-request-id of the request that made a change; null where the relay made it itself, and in entries from before.
alter table audit add column request_id text;
