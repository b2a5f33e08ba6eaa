-- Deliveries that died and that no notice (delivery.dead) tells of yet. A table of its own, since an index of the dead among all
-- deliveries would be written to by every one that dies, and kept for as long as they are.
create table unreported_dead (
  delivery_id text primary key,
  webhook_id text not null,
  died_at timestamptz not null
);
create index unreported_dead_by_webhook on unreported_dead (webhook_id, died_at, delivery_id);

-- When a notice last told of a webhook's dead deliveries: there is one a minute at most.
alter table delivery_queues add column dead_reported_at timestamptz;
