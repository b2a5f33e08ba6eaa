/** The shapes in which a webhook can receive an event. */

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
