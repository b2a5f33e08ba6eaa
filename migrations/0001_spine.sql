-- Topics that feed us. 'pending' waits for an operator's approval; 'unsubscribed' was confirmed once and left.
create table topics (
  arn text primary key,
  status text not null check (status in ('pending', 'confirmed', 'unsubscribed')),
  subscribe_url text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  confirmed_at timestamptz,
  unsubscribed_at timestamptz
);
create index topics_pending on topics (updated_at) where status = 'pending';

create table webhooks (
  id text primary key,
  url text not null,
  description text not null,
  status text not null check (status in ('enabled', 'disabled')),
  disabled_reason text,
  event_types text[] not null,
  topics text[] not null,
  timeout_ms integer not null,
  -- [{"secret": "whsec_...", "expires_at": ... | null}], sealed with the encryption key; the first is the current one
  secrets bytea not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- The deduplicated alert: its latest state (without the context), and how often it changed.
create table alerts (
  id text primary key,
  sequence bigint not null,
  title text not null,
  severity text not null,
  match_count bigint,
  update_count bigint,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null
);

-- Everything ever seen in an alert, one row a value. Rows are only added, so an update costs what it brings; the alert's
-- sequence says which change brought it, `ordinal` its place in that change. `key` is a digest of path and value: equality
-- is exact at any length.
create table alert_values (
  alert_id text not null references alerts (id) on delete cascade,
  key bytea not null,
  sequence bigint not null,
  ordinal integer not null,
  path text not null,
  value text not null,
  primary key (alert_id, key)
);
create index alert_values_in_order on alert_values (alert_id, sequence, ordinal);

create table events (
  id text primary key,
  -- SNS's MessageId and topic; none for an event made here
  message_id text unique,
  type text not null,
  topic_arn text,
  alert_id text,
  sequence bigint,
  severity text,
  title text,
  subject text,
  match_count bigint,
  update_count bigint,
  -- One JSON document: SNS's Message byte for byte where it is a JSON object or array, otherwise as a JSON string.
  payload text not null,
  sent_at timestamptz not null,
  received_at timestamptz not null,
  dispatched_at timestamptz
);
create index events_undispatched on events (id) where dispatched_at is null;
create index events_by_alert on events (alert_id, id) where alert_id is not null;
create index events_by_topic on events (topic_arn, id);
create index events_by_type on events (type, id);
create index events_by_severity on events (severity, id) where severity is not null;
create index events_by_time on events (received_at);

-- Event x webhook. Pending with a next_attempt_at waits for that time; pending without one is held while its webhook
-- is disabled.
create table deliveries (
  id text primary key,
  event_id text not null references events (id) on delete cascade,
  webhook_id text not null,
  status text not null check (status in ('pending', 'succeeded', 'dead', 'dropped')),
  reason text,
  attempt_count integer not null default 0,
  -- attempt_count when the retry schedule last began: a retry by hand or a replay begins it anew
  schedule_start integer not null default 0,
  next_attempt_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  unique (event_id, webhook_id)
);
create index deliveries_due on deliveries (next_attempt_at, id) where status = 'pending' and next_attempt_at is not null;
create index deliveries_held on deliveries (webhook_id) where status = 'pending';
create index deliveries_by_webhook on deliveries (webhook_id, id);
create index deliveries_by_status on deliveries (status, id);

-- One HTTP try. Append-only.
create table attempts (
  id text primary key,
  delivery_id text not null references deliveries (id) on delete cascade,
  number integer not null,
  outcome text not null,
  status_code integer,
  error text,
  response_body text,
  duration_ms integer not null,
  started_at timestamptz not null
);
create index attempts_by_delivery on attempts (delivery_id, id);

-- A digest of the encryption key, so that a process with another key is stopped at start instead of failing later.
create table settings (
  name text primary key,
  value text not null
);
