-- 'approved': an operator approved it, and nothing has come from it since.
alter table topics drop constraint topics_status_check;
alter table topics add constraint topics_status_check
  check (status in ('pending', 'approved', 'confirmed', 'unsubscribed'));
-- When the latest message was accepted, and when and why one was last refused. Written every few seconds, not with every message.
alter table topics add column last_message_at timestamptz;
alter table topics add column last_refused_at timestamptz;
alter table topics add column last_refused_code text;

-- A topic may have several subscriptions to this relay: it is confirmed while one of them is. SNS names them in an answer to a
-- confirmation and in a header, so what is here is shown and decides nothing about a message.
create table topic_subscriptions (
  topic_arn text not null references topics (arn) on delete cascade,
  arn text not null,
  confirmed_at timestamptz,
  unsubscribed_at timestamptz,
  last_message_at timestamptz,
  primary key (topic_arn, arn)
);
