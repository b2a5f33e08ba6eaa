-- A webhook's URL, sealed as its secrets are: whoever has the URL of a Slack or Teams webhook may post there. `url` is what is shown.
-- Null in rows of older versions: the first start of this one seals them (core/webhook/url-sealing.ts), since SQL has no key.
alter table webhooks add column sealed_url bytea;
create index webhooks_unsealed on webhooks (id) where sealed_url is null;
