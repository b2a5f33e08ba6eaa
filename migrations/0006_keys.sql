-- Keys that were made by the API: of a key's secret half only the digest is here.
create table api_keys (
  id text primary key,
  name text not null,
  scope text not null check (scope in ('read', 'write', 'admin')),
  digest bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);

-- Who changed what, append-only. `changes` is JSON: field by field before and after, without secrets.
create table audit (
  id text primary key,
  at timestamptz not null,
  actor text not null,
  action text not null,
  target text,
  changes text not null
);
create index audit_by_time on audit (at, id);
create index audit_by_actor on audit (actor, id);
create index audit_by_action on audit (action, id);
create index audit_by_target on audit (target, id);
