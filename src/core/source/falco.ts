/**
 * Falco's events as Falcosidekick publishes them with `aws.sns.rawjson`: https://falco.org/docs/reference/rules/
 *
 * There is one message for each event and none when it is over: the events of one rule in one container are an alert.
 */
import type { JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { firstText, objectAt, textAt, textsAt } from './fields.js'
import { findingOf } from './finding.js'
import { identityOf } from './identity.js'
import { severityOfWord } from './severity.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { timeOf } from './time.js'

const PRIORITIES = new Set([
  'emergency',
  'alert',
  'critical',
  'error',
  'warning',
  'notice',
  'informational',
  'info',
  'debug',
])

/** Falco's fields of system calls, of Kubernetes' audit log and of CloudTrail. Their names have dots. */
const FIELDS: readonly (readonly [field: string, name: string])[] = [
  ['proc.name', 'process.name'],
  ['proc.pid', 'process.pid'],
  ['proc.exepath', 'process.executable'],
  ['proc.cmdline', 'process.command_line'],
  ['proc.pname', 'process.parent.name'],
  ['proc.ppid', 'process.parent.pid'],
  ['user.name', 'user.name'],
  ['user.uid', 'user.id'],
  ['container.id', 'container.id'],
  ['container.name', 'container.name'],
  ['container.image.repository', 'container.image.name'],
  ['container.image.tag', 'container.image.tag'],
  ['k8s.ns.name', 'orchestrator.namespace'],
  ['k8s.pod.name', 'orchestrator.resource.name'],
  ['fd.cip', 'source.ip'],
  ['fd.cport', 'source.port'],
  ['fd.sip', 'destination.ip'],
  ['fd.sport', 'destination.port'],
  ['fd.rip', 'related.ip'],
  ['fd.lip', 'related.ip'],
  ['ka.user.name', 'user.name'],
  ['ka.verb', 'event.action'],
  ['ka.target.namespace', 'orchestrator.namespace'],
  ['ka.target.name', 'orchestrator.resource.name'],
  ['ka.target.resource', 'orchestrator.resource.type'],
  ['ct.user', 'user.name'],
  ['ct.srcip', 'source.ip'],
  ['ct.name', 'event.action'],
  ['ct.region', 'cloud.region'],
]
/** What stands in `container.id` for no container. */
const HOST = 'host'

export const falco: Source = {
  name: 'falco',
  detailTypes: {},
  isBare: (message) =>
    textAt(message, 'rule') !== undefined &&
    PRIORITIES.has(textAt(message, 'priority')?.toLowerCase() ?? '') &&
    typeof message.output === 'string' &&
    objectAt(message, 'output_fields') !== undefined,
  read: (message, reading) => [readEvent(message, reading)],
}

function readEvent(event: JsonObject, { defaultSeverity }: Reading): Finding | Unread {
  const rule = textAt(event, 'rule')
  const fields = objectAt(event, 'output_fields')
  const host = textAt(event, 'hostname')
  const context = new ContextBuilder()
  context.add('event.provider', 'falco').add('rule.name', rule).add('host.name', host)
  for (const tag of textsAt(event, 'tags')) {
    context.add(/^T\d{4}(\.\d{3})?$/.test(tag) ? 'threat.technique.id' : 'rule.category', tag)
  }
  for (const [field, name] of FIELDS) {
    const value = fields?.[field]
    if (field !== 'container.id' || value !== HOST) context.add(name, value)
  }
  // of a socket it is both ends in words
  const file = textAt(fields, 'fd.name')
  if (file?.startsWith('/')) context.add('file.path', file)
  return findingOf(
    {
      source: 'falco',
      alertId: identityOf('falco', rule, host ?? '-', placeOf(fields)),
      titles: [rule],
      description: event.output,
      severity: severityOfWord(event.priority) ?? defaultSeverity('falco', 'notice'),
      state: 'active',
      context,
      region: firstText(fields?.['ct.region']),
      updatedAt: timeOf(event.time),
    },
    'rule',
  )
}

/** The container, the pod, or the host. */
function placeOf(fields: JsonObject | undefined): string {
  const container = textAt(fields, 'container.id')
  if (container !== undefined && container !== HOST) return container
  const pod = firstText(fields?.['k8s.pod.name'], fields?.['ka.target.name'])
  return pod === undefined
    ? HOST
    : `${firstText(fields?.['k8s.ns.name'], fields?.['ka.target.namespace']) ?? ''}/${pod}`
}
