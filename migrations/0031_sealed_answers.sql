-- The answer to a request that carried an Idempotency-Key, where it may hold a secret: sealed with the encryption key.
alter table idempotency_keys add column sealed_answer bytea;
