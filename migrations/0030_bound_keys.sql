-- What a key is bound to: the ids of webhooks, or patterns of topics. Null: to none, as every key from before.
alter table api_keys add column webhooks text[], add column topics text[],
  add constraint api_keys_bound_to_one check (webhooks is null or topics is null);
