-- A message may hold several findings: each is an event of its own, known by the MessageId and its part, from 0.
-- `origin_id`: topic, source and id of the EventBridge event, which is the same in every SNS message that repeats it.
-- `source`: what recognised the message. `change`: the alert change that the source read, in Matano's shape; null where the
-- payload is itself the change. `unread`: why a message that its source knows could not be read.
-- `state`: of the alert after a finding. `unannounced`: a resolved finding of which nobody was told that it was active.
alter table events add column part integer not null default 0;
alter table events add column origin_id text;
alter table events add column source text;
alter table events add column change text;
alter table events add column unread text;
alter table events add column state text;
alter table events add column unannounced boolean not null default false;
create unique index events_by_part on events (message_id, part);
create unique index events_by_origin on events (origin_id, part) where origin_id is not null;
alter table events drop constraint events_message_id_key;

-- What findings say of their alert. `state_at`: the update time of the finding that decided the state; an older one decides
-- nothing. `quiet_at` is set for a resolved alert too, when it was resolved: it does not become quiet.
-- `highest_severity`: the highest of its active findings, as a place in the list of severities.
-- `turn` and `rose_from`: what the latest change did to the state, and the highest severity before if it was raised; they are
-- here because only the statement that changes the row knows the row before.
alter table alerts add column source text;
alter table alerts add column is_resolved boolean not null default false;
alter table alerts add column state_at timestamptz;
alter table alerts add column state_reason text;
alter table alerts add column highest_severity smallint;
alter table alerts add column is_unannounced boolean not null default false;
alter table alerts add column turn text;
alter table alerts add column rose_from smallint;
