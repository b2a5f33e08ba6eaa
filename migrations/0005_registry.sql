-- What a webhook is called (at most one of a name), which bodies it wants (a filter policy, JSON) and in which format.
alter table webhooks add column name text unique;
alter table webhooks add column filter text;
alter table webhooks add column format text not null default 'change';
alter table webhooks add column signing text not null default 'hmac' check (signing in ('hmac', 'ed25519'));
-- {"format_options", "headers", "auth", "tls"}, sealed as the signing secrets are; null: none
alter table webhooks add column private bytea;
