-- Waits before the second, third, ... attempt, in seconds; null: the standard schedule.
alter table webhooks add column retry_schedule_s integer[];
