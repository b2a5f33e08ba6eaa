/**
 * The notifications of Prometheus Alertmanager (also Amazon's, by its JSON template) and of Grafana: one change for each
 * alert of the group. https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 * https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
 *
 * A group is sent again at every repeat_interval: its labels are an alert's identity, so that nothing of it is new.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { firstText, objectAt, textAt } from './fields.js'
import { findingOf } from './finding.js'
import { identityOf } from './identity.js'
import { firstLink, webLink } from './link.js'
import { severityOfWord } from './severity.js'
import type { Finding, Reading, Source, SourceName, Unread } from './source.js'
import { timeOf } from './time.js'

/** The labels of Kubernetes' and Prometheus' own rules. */
const LABELS = fieldMap({
  alertname: 'rule.name',
  cluster: 'orchestrator.cluster.name',
  namespace: 'orchestrator.namespace',
  pod: 'orchestrator.resource.name',
  container: 'container.name',
  node: 'host.name',
})

export const grafana: Source = {
  name: 'grafana',
  detailTypes: {},
  list: 'alerts',
  // what Grafana adds to Alertmanager's form
  isBare: (message) => isGroup(message) && (message.orgId !== undefined || hasSilenceLink(message)),
  read: (message, reading) => readGroup('grafana', message, reading),
}

export const alertmanager: Source = {
  name: 'alertmanager',
  detailTypes: {},
  list: 'alerts',
  isBare: isGroup,
  read: (message, reading) => readGroup('alertmanager', message, reading),
}

function isGroup(message: JsonObject): boolean {
  if (message.status !== 'firing' && message.status !== 'resolved') return false
  const first = Array.isArray(message.alerts) ? message.alerts[0] : undefined
  return (
    objectAt(first, 'labels') !== undefined &&
    (textAt(first, 'fingerprint') !== undefined || textAt(first, 'startsAt') !== undefined)
  )
}

function hasSilenceLink({ alerts }: JsonObject): boolean {
  return Array.isArray(alerts) && textAt(alerts[0], 'silenceURL') !== undefined
}

function readGroup(source: SourceName, message: JsonObject, reading: Reading): (Finding | Unread)[] {
  const alerts = message.alerts as Json[]
  return alerts.map((alert) =>
    isJsonObject(alert)
      ? readAlert(source, alert, textAt(message, 'status'), reading)
      : { unread: `an alert of ${source} is no object` },
  )
}

function readAlert(
  source: SourceName,
  alert: JsonObject,
  groupStatus: string | undefined,
  { defaultSeverity }: Reading,
): Finding | Unread {
  const labels = objectAt(alert, 'labels')
  const annotations = objectAt(alert, 'annotations')
  const name = textAt(labels, 'alertname')
  const isResolved = (textAt(alert, 'status') ?? groupStatus) === 'resolved'
  const startedAt = timeOf(alert.startsAt)
  const context = new ContextBuilder()
  context.add('event.provider', source)
  addFields(context, LABELS, labels)
  for (const [label, value] of Object.entries(labels ?? {})) context.addOwn(['labels'], label, value)
  context.add('event.reference', webLink(annotations?.runbook_url))
  return findingOf(
    {
      source,
      alertId: alertIdOf(source, alert, labels, name),
      titles: [annotations?.summary, annotations?.title, name],
      description: firstText(annotations?.description, annotations?.message),
      severity: severityOfWord(labels?.severity) ?? defaultSeverity(source, 'medium'),
      state: isResolved ? 'resolved' : 'active',
      reason: undefined,
      context,
      url: firstLink(alert.panelURL, alert.dashboardURL, alert.generatorURL),
      firstSeen: startedAt,
      updatedAt: isResolved ? (timeOf(alert.endsAt) ?? startedAt) : startedAt,
    },
    'labels',
  )
}

/** The fingerprint is a hash of the labels; a template may have left it out. */
function alertIdOf(
  source: SourceName,
  alert: JsonObject,
  labels: JsonObject | undefined,
  name: string | undefined,
): string | undefined {
  const fingerprint = textAt(alert, 'fingerprint')
  if (fingerprint !== undefined) return identityOf(source, fingerprint)
  const sorted = Object.entries(labels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.length === 0 ? undefined : identityOf(source, name ?? '-', JSON.stringify(sorted))
}
