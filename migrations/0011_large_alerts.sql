-- How many values an alert holds, and how many bytes their JSON has. A row of its own, since the alert's row is written once a
-- change already, by the same statement. An event keeps its alert's bytes as of its change, so that every attempt decides alike.
create table alert_sizes (
  alert_id text primary key references alerts (id) on delete cascade,
  value_count bigint not null,
  value_bytes bigint not null
);
insert into alert_sizes (alert_id, value_count, value_bytes)
select alert_id, count(*), sum(octet_length(value)) from alert_values group by alert_id;
alter table events add column held_bytes bigint;

-- An event that cannot be dispatched waits longer each time.
alter table undispatched add column failures integer not null default 0;
alter table undispatched add column not_before timestamptz;

-- Bodies above this are cut; `cut`: how far the next body of a delivery is cut (0 whole, 1 to what was new, 2 to counts).
alter table webhooks add column max_body_bytes integer not null default 1048576;
alter table deliveries add column cut smallint not null default 0;
