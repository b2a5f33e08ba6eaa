/** The formats of a request body. */

export const FORMATS = [
  'change',
  'raw',
  'cloudevents',
  'ocsf',
  'slack',
  'teams',
  'pagerduty',
  'discord',
  'jira',
  'template',
] as const

export type FormatName = (typeof FORMATS)[number]
