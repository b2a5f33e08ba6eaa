-- Attempts at a delivery that its receiver may have taken: under way, without an answer, or succeeded. Null: not counted. A
-- change that may have been taken is not coalesced, since a later event would call its values new once more.
alter table deliveries add column unrefused_attempts integer;

-- address, hash, domain, url, email or other: `key` is a digest of kind and normal form. Null: a claim of an earlier version,
-- whose `key` is a digest of path and value. 'path': such a claim, whose value has a row with another path.
alter table indicators add column kind text;
create index indicators_by_path on indicators (webhook_id, sent_at) where kind is null;
