-- Which alert held a value: 64 bits of a digest of its normal form, which is the same at every path (alert/value-key.ts). Null for
-- booleans, null and lists, which nobody looks for, and in rows from before, which upkeep fills in; the index of a table of nulls
-- is made by one scan.
alter table alert_values add column value_key bigint;
create index alert_values_by_value on alert_values (value_key) where value_key is not null;
-- How far upkeep has come with the rows from before: the place of the last one.
create table value_keying (alert_id text not null, key bytea not null);
insert into value_keying (alert_id, key) select '', '' where exists (select from alert_values);
