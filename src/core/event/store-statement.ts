/**
 * The statement that stores a batch of messages (message-store.ts): its events, and the new values and the state of their
 * alerts.
 *
 * What was in an alert's row before is known only where the row is changed, since an earlier read of it may be older. So the
 * change writes what it did into the row (`turn`, `rose_from`), from where the statement returns it.
 */
import { SEVERITIES } from '../alert/rule-match.js'

/** In the change of a row `a` of alerts by the row `excluded`: its finding is older than the one that decided the state. */
const IS_OLDER = 'coalesce(excluded.state_at < a.state_at, false)'
/** It decides the state. A row that is to be inserted has the turn `unsaid` when its finding says nothing of the state. */
const TELLS = `(not ${IS_OLDER} and excluded.turn is distinct from 'unsaid')`
/** The alert is resolved after the change. */
const RESOLVED = `(case when ${TELLS} then excluded.is_resolved else a.is_resolved end)`

/** Severities by their place, from 1 as arrays of PostgreSQL count. */
const SEVERITY_LIST = `'{${SEVERITIES.join(',')}}'::text[]`

export const STORE = `
with message as (
  select * from rows from (
    unnest($13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::text[],
      $21::text[], $22::text[], $24::timestamptz[], $25::timestamptz[], $29::boolean[], $30::int[], $31::text[],
      $32::text[], $34::text[]),
    json_array_elements_text($23::json),
    json_array_elements_text($33::json)
  ) as m (id, type, message_id, topic_arn, alert_id, severity, previous_severity, title, subject, traceparent, sent_at,
    received_at, is_wanted, part, origin_id, source, unread, payload, change)
  where not exists (select from events e where e.message_id = m.message_id offset 0) -- looks up each id
    and (m.origin_id is null or not exists (select from events e where e.origin_id = m.origin_id offset 0))
), given as (
  select * from unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[], $27::text[],
      $35::text[], $36::boolean[], $37::boolean[], $38::timestamptz[], $39::text[], $40::smallint[])
    with ordinality as g (id, title, severity, match_count, update_count, tables, event_id, source, is_resolved, is_unsaid,
      state_at, reason, rank, position)
  where event_id in (select id from message)
), changed as (
  insert into alerts as a (id, sequence, title, severity, match_count, update_count, first_seen_at, last_seen_at, tables,
    source, is_resolved, is_unannounced, quiet_at, state_at, state_reason, highest_severity, turn)
  select id, 1, title, severity, match_count, update_count, $1, $1,
    array(select json_array_elements_text(given.tables::json)),
    source, coalesce(is_resolved, false), coalesce(is_resolved, false), case when is_resolved then $1::timestamptz end,
    state_at, reason, case when is_resolved then null else rank end,
    case when is_unsaid then 'unsaid' when is_resolved then 'resolved' end
  from given order by position
  on conflict (id) do update set
    sequence = a.sequence + 1,
    title = case when ${IS_OLDER} then a.title else excluded.title end,
    severity = case when ${IS_OLDER} or excluded.is_resolved then a.severity else excluded.severity end,
    match_count = greatest(a.match_count, excluded.match_count),
    update_count = greatest(a.update_count, excluded.update_count),
    last_seen_at = greatest(a.last_seen_at, excluded.last_seen_at),
    tables = excluded.tables,
    source = coalesce(excluded.source, a.source),
    is_resolved = ${RESOLVED},
    is_unannounced = a.is_unannounced and ${RESOLVED},
    quiet_at = case when not ${RESOLVED} then null when a.is_resolved then a.quiet_at else excluded.quiet_at end,
    state_at = case when ${TELLS} then coalesce(excluded.state_at, a.state_at) else a.state_at end,
    state_reason = case when ${TELLS} then excluded.state_reason else a.state_reason end,
    highest_severity = greatest(a.highest_severity, excluded.highest_severity),
    rose_from = case when not ${IS_OLDER} and not ${RESOLVED} and excluded.highest_severity > a.highest_severity
      then a.highest_severity end,
    turn = case when a.is_resolved = ${RESOLVED} then null
      when not a.is_resolved then 'resolved' when a.is_unannounced then 'created' else 'reopened' end
  returning id, sequence, title, severity, match_count, update_count, turn, is_resolved, is_unannounced,
    (${SEVERITY_LIST})[rose_from + 1] as rose_from
), added as (
  insert into alert_values (alert_id, sequence, ordinal, key, path, value, value_key)
  select v.alert_id, changed.sequence, v.ordinal, v.key, v.path, v.value, v.value_key
  from unnest($8::text[], $9::int[], $10::bytea[], $11::text[], $12::text[], $41::bigint[])
    as v (alert_id, ordinal, key, path, value, value_key)
  join changed on changed.id = v.alert_id
  on conflict (alert_id, key) do nothing
  returning alert_id, octet_length(value) as bytes
), sized as (
  insert into alert_sizes as s (alert_id, value_count, value_bytes)
  select alert_id, count(*), sum(bytes) from added group by alert_id
  on conflict (alert_id) do update set
    value_count = s.value_count + excluded.value_count, value_bytes = s.value_bytes + excluded.value_bytes
  returning alert_id, value_bytes
), stored as (
  insert into events (id, type, message_id, topic_arn, alert_id, severity, previous_severity, title, subject, traceparent,
    payload, sent_at, received_at, batch_id, sequence, match_count, update_count, held_bytes, part, origin_id, source,
    change, unread, state, unannounced)
  select m.id,
    case when changed.id is null then m.type
      when changed.turn in ('created', 'resolved', 'reopened') then 'alert.' || changed.turn
      when changed.sequence = 1 then 'alert.created' else 'alert.updated' end,
    m.message_id, m.topic_arn, m.alert_id, coalesce(changed.severity, m.severity),
    coalesce(m.previous_severity, changed.rose_from), coalesce(changed.title, m.title), m.subject, m.traceparent,
    m.payload, m.sent_at, m.received_at, $26, changed.sequence, changed.match_count, changed.update_count,
    coalesce(sized.value_bytes, (select s.value_bytes from alert_sizes s where s.alert_id = changed.id)),
    m.part, m.origin_id, m.source, m.change, m.unread,
    case when m.change is null then null when changed.is_resolved then 'resolved' else 'active' end,
    m.change is not null and changed.is_unannounced
  from message m left join changed on changed.id = m.alert_id left join sized on sized.alert_id = m.alert_id
  returning id, type, alert_id, sequence, severity, previous_severity, title, state, unannounced, match_count, update_count,
    held_bytes, received_at
), waiting as (
  insert into undispatched (batch_id, event_id, alert_id, sequence, received_at, not_before)
  select $26, stored.id, stored.alert_id, stored.sequence, stored.received_at, now() + $42::int * interval '1 second'
  from stored join message m on m.id = stored.id
  where not stored.unannounced and (m.is_wanted or $28::bigint is distinct from (select version from registry))
  returning event_id
)
select id as event_id, type, sequence, severity, previous_severity, title, state, unannounced, match_count, update_count,
  held_bytes,
  (select count(*) from added a where a.alert_id = stored.alert_id) as new_values,
  id in (select event_id from waiting) as is_waiting,
  (select version from registry) as registry_version, (select health_version from registry) as registry_health
from stored`
