/** What GuardDuty says about an action, in its own findings and, with other spelling, in Security Hub's. Pure. */
import type { Json, JsonObject } from '../platform/json.js'
import type { ContextBuilder } from './context-builder.js'
import { objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { addFields, fieldMap } from './field-map.js'

type Side = 'source' | 'destination'

const endpointOf = (side: Side) =>
  fieldMap({
    ipAddressV4: `${side}.ip`,
    ipAddressV6: `${side}.ip`,
    'country.countryName': `${side}.geo.country_name`,
    'city.cityName': `${side}.geo.city_name`,
    'organization.asnOrg': `${side}.as.organization.name`,
  })
const ENDPOINTS = { source: endpointOf('source'), destination: endpointOf('destination') }
const UNDIRECTED = fieldMap({ ipAddressV4: 'related.ip', ipAddressV6: 'related.ip' })

const FIELDS = fieldMap({
  'dnsRequestAction.domain': 'dns.question.name',
  'awsApiCallAction.api': 'event.action',
  'awsApiCallAction.serviceName': 'event.provider',
  'awsApiCallAction.userAgent': 'user_agent.original',
  'awsApiCallAction.domainDetails.domain': 'source.domain',
  'kubernetesApiCallAction.sourceIPs': 'source.ip',
  'kubernetesApiCallAction.sourceIps': 'source.ip',
  'kubernetesApiCallAction.requestUri': 'url.path',
  'kubernetesApiCallAction.verb': 'http.request.method',
  'kubernetesApiCallAction.userAgent': 'user_agent.original',
  'kubernetesApiCallAction.namespace': 'orchestrator.namespace',
  'rdsLoginAttemptAction.loginAttributes.user': 'user.name',
})
/** The actions whose remote end asked for something. */
const REQUESTS = ['awsApiCallAction', 'kubernetesApiCallAction', 'rdsLoginAttemptAction']

/** Which end the remote one is. ASFF has IN and OUT beside GuardDuty's INBOUND and OUTBOUND. */
const REMOTE_SIDE = new Map<string, Side>([
  ['INBOUND', 'source'],
  ['IN', 'source'],
  ['OUTBOUND', 'destination'],
  ['OUT', 'destination'],
])

/** Adds an action (`service.action`): who acted, from where, on what. */
export function addAction(context: ContextBuilder, action: JsonObject | undefined): void {
  if (!action) return
  addFields(context, FIELDS, action)
  addConnection(context, objectAt(action, 'networkConnectionAction'))
  for (const probe of objectsAt(action, 'portProbeAction', 'portProbeDetails')) {
    addEndpoint(context, 'source', valueAt(probe, 'remoteIpDetails'))
    addEndpoint(context, 'destination', valueAt(probe, 'localIpDetails'), valueAt(probe, 'localPortDetails', 'port'))
  }
  for (const request of REQUESTS) addEndpoint(context, 'source', valueAt(action, request, 'remoteIpDetails'))
  const affected = objectAt(action, 'awsApiCallAction', 'affectedResources')
  if (affected) context.add('resource.id', Object.values(affected).slice(0, 500))
}

function addConnection(context: ContextBuilder, connection: JsonObject | undefined): void {
  if (!connection) return
  const protocol = textAt(connection, 'protocol')
  if (protocol !== '0') context.add('network.transport', protocol)
  const direction = textAt(connection, 'connectionDirection')?.toUpperCase()
  const remote = REMOTE_SIDE.get(direction ?? '')
  if (!remote) {
    addFields(context, UNDIRECTED, valueAt(connection, 'remoteIpDetails'))
    addFields(context, UNDIRECTED, valueAt(connection, 'localIpDetails'))
    return
  }
  const local = remote === 'source' ? 'destination' : 'source'
  context.add('network.direction', remote === 'source' ? 'inbound' : 'outbound')
  addEndpoint(context, remote, valueAt(connection, 'remoteIpDetails'), valueAt(connection, 'remotePortDetails', 'port'))
  addEndpoint(context, local, valueAt(connection, 'localIpDetails'), valueAt(connection, 'localPortDetails', 'port'))
}

/** Adds one end of a connection. "-1" and "0" are no autonomous systems. */
function addEndpoint(context: ContextBuilder, side: Side, details: Json | undefined, port?: Json): void {
  addFields(context, ENDPOINTS[side], details)
  const asn = valueAt(details, 'organization', 'asn')
  if (asn !== undefined && Number(asn) > 0) context.add(`${side}.as.number`, asn)
  context.add(`${side}.port`, port)
}
