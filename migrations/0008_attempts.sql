-- An attempt is read with its delivery and never alone: one index holds it, where two were written at every attempt.
alter table attempts drop constraint attempts_pkey;
drop index attempts_by_delivery;
alter table attempts add primary key (delivery_id, id);
