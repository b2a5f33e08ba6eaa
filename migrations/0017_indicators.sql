-- Attempts at a delivery that its receiver may have taken: under way, without an answer, or succeeded. Null: not counted. A
-- change that may have been taken is not coalesced, since a later event would call its values new once more.
alter table deliveries add column unrefused_attempts integer;
