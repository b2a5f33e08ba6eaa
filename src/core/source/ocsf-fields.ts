/** Where the fields of an OCSF finding go in ECS. Pure. */
import type { Json, JsonObject } from '../platform/json.js'
import { addResourceId, highest } from './asff-fields.js'
import type { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { numberAt, objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { firstLink } from './link.js'

const endpointOf = (side: 'src' | 'dst', name: string) => ({
  [`${side}_endpoint.ip`]: `${name}.ip`,
  [`${side}_endpoint.port`]: `${name}.port`,
  [`${side}_endpoint.hostname`]: `${name}.domain`,
  [`${side}_endpoint.domain`]: `${name}.domain`,
  [`${side}_endpoint.autonomous_system.number`]: `${name}.as.number`,
  [`${side}_endpoint.autonomous_system.name`]: `${name}.as.organization.name`,
  [`${side}_endpoint.location.country`]: `${name}.geo.country_name`,
  [`${side}_endpoint.location.city`]: `${name}.geo.city_name`,
})

/** What an element of `evidences` has, and what findings of older versions have themselves. */
const EVIDENCE = fieldMap({
  ...endpointOf('src', 'source'),
  ...endpointOf('dst', 'destination'),
  'connection_info.direction': 'network.direction',
  'connection_info.protocol_name': 'network.transport',
  'process.name': 'process.name',
  'process.pid': 'process.pid',
  'process.cmd_line': 'process.command_line',
  'process.file.path': 'process.executable',
  'process.path': 'process.executable',
  'process.user.name': 'user.name',
  'process.parent_process.name': 'process.parent.name',
  'process.parent_process.pid': 'process.parent.pid',
  'process.parent_process.file.path': 'process.parent.executable',
  'file.name': 'file.name',
  'file.path': 'file.path',
  'file.hashes.value': 'file.hash.*',
  'actor.user.name': 'user.name',
  'actor.user.uid': 'user.id',
  'actor.user.email_addr': 'user.email',
  'actor.process.name': 'process.name',
  'actor.process.file.path': 'process.executable',
  'actor.process.path': 'process.executable',
  'user.name': 'user.name',
  'user.uid': 'user.id',
  'api.operation': 'event.action',
  'api.service.name': 'event.provider',
  'query.hostname': 'dns.question.name',
  'url.url_string': 'url.full',
  'container.uid': 'container.id',
  'container.name': 'container.name',
  'container.image.name': 'container.image.name',
  'container.image.tag': 'container.image.tag',
  'device.hostname': 'host.name',
  'device.ip': 'host.ip',
  'device.uid': 'host.id',
})

const FIELDS = fieldMap({
  'cloud.provider': 'cloud.provider',
  'cloud.account.name': 'cloud.account.name',
  'metadata.product.name': 'event.provider',
  'resources.uid': 'resource.id',
  'resources.name': 'resource.name',
  'resources.type': 'resource.type',
  // an access key's, as Security Hub writes it
  'resources.data.user_name': 'user.name',
  'resources.data.principal_id': 'user.id',
  'resources.data.access_key_id': 'aws.access_key_id',
  'resource.uid': 'resource.id',
  'resource.name': 'resource.name',
  'resource.type': 'resource.type',
  'finding_info.analytic.uid': 'rule.id',
  'finding_info.analytic.name': 'rule.name',
  'finding_info.types': 'rule.category',
  'finding.types': 'rule.category',
  'compliance.control': 'rule.id',
  'compliance.requirements': 'rule.reference',
  'compliance.standards': 'rule.reference',
  'vulnerabilities.cve.uid': 'vulnerability.id',
  'vulnerabilities.references': 'vulnerability.reference',
  'vulnerabilities.affected_packages.name': 'package.name',
  'vulnerabilities.affected_packages.version': 'package.version',
  'vulnerabilities.affected_packages.fixed_in_version': 'package.fixed_version',
  'vulnerabilities.affected_packages.path': 'package.path',
  'vulnerabilities.affected_packages.architecture': 'package.architecture',
  'vulnerabilities.packages.name': 'package.name',
  'vulnerabilities.packages.version': 'package.version',
  'malware.name': 'threat.software.name',
  'malware.path': 'file.path',
  'malware.files.path': 'file.path',
  'malware.files.name': 'file.name',
  'malware.files.hashes.value': 'file.hash.*',
  'databucket.uid': 'resource.id',
  'databucket.name': 'resource.name',
  'databucket.type': 'resource.type',
  'databucket.file.path': 'file.path',
})

const attacksOf = (at: string) => ({
  [`${at}.tactic.uid`]: 'threat.tactic.id',
  [`${at}.tactic.name`]: 'threat.tactic.name',
  [`${at}.tactics.uid`]: 'threat.tactic.id',
  [`${at}.tactics.name`]: 'threat.tactic.name',
  [`${at}.technique.uid`]: 'threat.technique.id',
  [`${at}.technique.name`]: 'threat.technique.name',
  [`${at}.sub_technique.uid`]: 'threat.technique.subtechnique.id',
  [`${at}.sub_technique.name`]: 'threat.technique.subtechnique.name',
})
const ATTACKS = fieldMap({ ...attacksOf('attacks'), ...attacksOf('finding_info.attacks') })

/** OCSF, "Observable": type_id. */
const OBSERVABLES = new Map([
  [1, 'related.hosts'],
  [2, 'related.ip'],
  [4, 'related.user'],
  [5, 'related.user'],
  [6, 'url.full'],
  [7, 'file.name'],
  [8, 'related.hash'],
  [10, 'resource.id'],
])

export function addOcsfFields(context: ContextBuilder, finding: JsonObject): void {
  addFields(context, FIELDS, finding)
  addFields(context, ATTACKS, finding)
  addFields(context, EVIDENCE, finding.evidences)
  addFields(context, EVIDENCE, finding)
  for (const resource of objectsAt(finding, 'resources')) addResourceId(context, textAt(resource, 'uid'))
  addResourceId(context, textAt(objectAt(finding, 'resource'), 'uid'))
  for (const observable of objectsAt(finding, 'observables')) {
    const name = OBSERVABLES.get(numberAt(observable, 'type_id') ?? 0)
    if (name !== undefined) context.add(name, observable.value)
  }
  for (const vulnerability of objectsAt(finding, 'vulnerabilities')) {
    const scores = objectsAt(vulnerability, 'cve', 'cvss').map(({ base_score: score }) => score)
    context.add('vulnerability.score.base', highest(scores))
  }
  context.add('event.reference', runbookOf(finding))
}

/** Version 1.0 has `kb_articles`. */
function runbookOf(finding: JsonObject): string | undefined {
  const links = [valueAt(finding, 'remediation', 'references'), valueAt(finding, 'remediation', 'kb_articles')]
  return firstLink(...links.flatMap((value): Json[] => (Array.isArray(value) ? value.slice(0, 20) : [])))
}
