-- Signing certificates of SNS, by their URL, which names one for good.
create table certificates (
  url text primary key,
  pem text not null,
  valid_to timestamptz not null
);
