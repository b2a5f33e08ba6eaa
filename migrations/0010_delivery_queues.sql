-- What waits for one webhook is its delivery queue.
alter table lanes rename to delivery_queues;
alter table delivery_queues rename constraint lanes_pkey to delivery_queues_pkey;
alter table delivery_queues rename constraint lanes_health_check to delivery_queues_health_check;
