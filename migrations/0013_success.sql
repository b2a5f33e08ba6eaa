-- The condition on the body of a 2xx answer, as JSON; null: the format's default.
alter table webhooks add column success text;
