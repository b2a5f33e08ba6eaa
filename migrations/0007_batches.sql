-- What was stored together is dispatched together: one job. A batch has the id of its first event; null: dispatched before
-- there were batches.
alter table events add column batch_id text;

-- Events that are not dispatched yet. A table of its own, since an update of an event would be written to each of its indexes.
create table undispatched (
  batch_id text not null,
  event_id text not null,
  alert_id text,
  sequence bigint,
  received_at timestamptz not null,
  primary key (batch_id, event_id)
);
create index undispatched_in_order on undispatched (alert_id, sequence) where alert_id is not null;

insert into undispatched (batch_id, event_id, alert_id, sequence, received_at)
select id, id, alert_id, sequence, received_at from events where dispatched_at is null;
update events set batch_id = id where dispatched_at is null;

drop index events_undispatched;
drop index events_in_order;
alter table events drop column dispatched_at;
