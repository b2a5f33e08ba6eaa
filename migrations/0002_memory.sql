-- What lists of alerts are narrowed by, and when an alert went quiet (null: it is active).
alter table alerts add column tables text[] not null default '{}';
alter table alerts add column quiet_at timestamptz;
create index alerts_by_last_seen on alerts (last_seen_at desc, id desc);
create index alerts_by_severity on alerts (severity, last_seen_at desc, id desc);
create index alerts_by_table on alerts using gin (tables);
create index events_by_sequence on events (alert_id, sequence) where alert_id is not null;
create index alerts_active on alerts (last_seen_at) where quiet_at is null;

-- The engine's windows: one row per rule and dedupe key, the current or last window. While the threshold is not reached
-- (update_count is null) its alert does not exist yet, and the contexts of its matches wait in rule_matches.
create table rule_windows (
  key bytea primary key,
  alert_id text not null,
  started_at timestamptz not null,
  ends_at timestamptz not null,
  threshold integer not null,
  match_count bigint not null,
  update_count bigint,
  -- {title, severity, runbook, destinations, tables}: frozen when the window began, but for a severity that rose
  alert text not null
);
create index rule_windows_ended on rule_windows (ends_at);

create table rule_matches (
  window_key bytea not null references rule_windows (key) on delete cascade,
  position bigint generated always as identity,
  context text not null,
  primary key (window_key, position)
);

-- Answers to requests that carried an Idempotency-Key, kept for a day.
create table idempotency_keys (
  key text primary key,
  request_digest bytea not null,
  answer text,
  created_at timestamptz not null
);
create index idempotency_keys_by_time on idempotency_keys (created_at);

-- The severity before this event, where it rose with it.
alter table events add column previous_severity text;

-- {"paths": [...] | "indicators", "within": "30d", "exclude_private": false}, or null: every event is delivered.
alter table webhooks add column once text;

-- Values that a webhook was sent: each belongs to the event that carried it. A delivery that ends dead gives its values back.
create table indicators (
  webhook_id text not null references webhooks (id) on delete cascade,
  key bytea not null,
  path text not null,
  value text not null,
  event_id text not null,
  sent_at timestamptz not null,
  primary key (webhook_id, key)
);
create index indicators_by_event on indicators (event_id, webhook_id);
