-- `only_new`: of alert changes it gets news alone. `coalesce_every`: at most one delivery of an alert in so long; null: no interval.
alter table webhooks add column only_new boolean not null default false;
alter table webhooks add column coalesce_every text;

-- How many changes without news a delivery counts besides its own; set before its first attempt. Null: none.
alter table deliveries add column spared integer;

-- For a webhook with `only_new` or an interval: how many changes of an alert it was spared since its last delivery, and when an
-- attempt at a delivery of the alert last started.
create table webhook_alerts (
  alert_id text not null references alerts (id) on delete cascade,
  webhook_id text not null,
  spared integer not null default 0,
  sent_at timestamptz not null default '-infinity',
  primary key (alert_id, webhook_id)
);
create index webhook_alerts_over on webhook_alerts (sent_at) where spared = 0;
