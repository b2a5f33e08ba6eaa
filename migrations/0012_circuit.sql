-- What a receiver refuses for its body says nothing about the others: `refused` is true once that has happened to a delivery.
alter table deliveries add column refused boolean not null default false;

-- `resume_at`: a receiver asked to be sent nothing before this time (Retry-After); null: it did not, or has answered since.
-- `probed_alert_id`: the alert of the last probe, or the delivery when its event is of no alert. The next probe is another.
alter table delivery_queues add column resume_at timestamptz;
alter table delivery_queues add column probed_alert_id text;
