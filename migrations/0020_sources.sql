-- Own sources: which messages (`topics`, and `filter`, a filter policy) a JSONata expression maps to alert changes.
-- `sources_version` counts their changes, so that every process reads them again.
create table sources (
  id text primary key,
  name text not null unique,
  description text not null,
  topics text[] not null,
  filter text not null,
  mapping text not null,
  enabled boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
alter table registry add column sources_version bigint not null default 0;
