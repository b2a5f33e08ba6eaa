-- Counts the changes of the registry, and of the health of webhooks, so that every process knows when what it holds is old.
create table registry (
  single boolean primary key default true check (single),
  version bigint not null default 0,
  health_version bigint not null default 0
);
insert into registry default values;

-- At most so many attempts at once, and so many a second (null: no limit of its own); whether the changes of one alert wait
-- for each other; whether those that wait while it is down become one.
alter table webhooks add column max_in_flight integer;
alter table webhooks add column rate_per_second double precision;
alter table webhooks add column "order" text not null default 'none' check ("order" in ('none', 'alert'));
alter table webhooks add column "coalesce" boolean not null default false;

-- One lane a webhook: how healthy its receiver is, how fast it may be sent to, and which process works on what waits for it.
-- A lane outlives its webhook until what waited for that is dropped.
create table lanes (
  webhook_id text primary key,
  health text not null default 'healthy' check (health in ('healthy', 'failing', 'recovering')),
  -- failures in a row, the time of the first of them, and what the last one was
  failures integer not null default 0,
  failing_since timestamptz,
  last_failure text,
  -- while failing: failed probes, and when the next one may be made
  probes integer not null default 0,
  probe_at timestamptz,
  recovering_since timestamptz,
  -- with a rate: not before this time
  next_send_at timestamptz,
  -- the process that works on it, until when, and whether somebody asked meanwhile
  holder text,
  held_until timestamptz,
  wanted boolean not null default false
);
insert into lanes (webhook_id) select id from webhooks;

-- `folded`: its change is part of another delivery. `sealed`: an attempt may have been made, so its content must not change.
alter table deliveries drop constraint deliveries_status_check;
alter table deliveries add constraint deliveries_status_check
  check (status in ('pending', 'succeeded', 'dead', 'dropped', 'folded'));
alter table deliveries add column alert_id text;
alter table deliveries add column sequence bigint;
alter table deliveries add column replay boolean not null default false;
alter table deliveries add column sealed boolean not null default true;
alter table deliveries add column folded_into text;
update deliveries d set alert_id = e.alert_id, sequence = e.sequence from events e where e.id = d.event_id;

-- A pending delivery has a time; while its webhook is disabled nobody looks.
update deliveries set next_attempt_at = updated_at, reason = null where status = 'pending' and next_attempt_at is null;
alter table deliveries add constraint deliveries_time_check check ((status = 'pending') = (next_attempt_at is not null));
drop index deliveries_due;
drop index deliveries_held;
create index deliveries_waiting on deliveries (webhook_id, next_attempt_at, id) where status = 'pending';
create index deliveries_in_order on deliveries (webhook_id, alert_id, sequence) where status = 'pending' and alert_id is not null;
create index deliveries_folded on deliveries (folded_into) where folded_into is not null;
create index events_in_order on events (alert_id, sequence) where dispatched_at is null and alert_id is not null;

-- What a notice about a webhook (webhook.failing and so on) is about, and the trace that an event belongs to.
alter table events add column webhook_id text;
alter table events add column traceparent text;

-- Recoveries: deliveries that failed or were missed are made again, a batch at a time. The position is the last event seen.
create table recoveries (
  id text primary key,
  webhook_id text not null,
  status text not null check (status in ('running', 'done', 'cancelled')),
  since timestamptz not null,
  until timestamptz not null,
  position_at timestamptz not null,
  position_id text not null default '',
  events_examined bigint not null default 0,
  deliveries_queued bigint not null default 0,
  created_at timestamptz not null,
  updated_at timestamptz not null
);
create index recoveries_running on recoveries (id) where status = 'running';
create index recoveries_by_webhook on recoveries (webhook_id, id);
