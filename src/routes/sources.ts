/**
 * /v1/sources: creates, lists, shows, changes, deletes and tests own sources.
 *
 * Guarantee: what is answered as done is known to this process, and within seconds to all others. A test stores nothing, and
 * delays no message.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { readParts, partsOf } from '../core/event/message-parts.js'
import { explainMismatch } from '../core/filter/explain.js'
import { parseFilterPolicy } from '../core/filter/policy.js'
import type { Database } from '../core/platform/database.js'
import { refuseFields, Refusal } from '../core/platform/errors.js'
import { newId } from '../core/platform/id.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../core/platform/json.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { nullableText, oneOf, refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import {
  checkSource,
  EXAMPLE_SOURCE,
  OwnSource,
  SourceCreate,
  sourceErrors,
  SourcePatch,
} from '../core/source/own-source.js'
import {
  deleteSource,
  findSource,
  insertSource,
  listSources,
  lockSource,
  updateSource,
} from '../core/source/own-source-store.js'
import { matchesFilter, type OwnSources } from '../core/source/own-sources.js'
import type { SourceSettings } from '../core/source/settings.js'
import { audit } from './access.js'
import { answer } from './answers.js'
import { CREATED_SOURCE } from './examples.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { takeLosslessJson } from './json-body.js'
import { found, problemResponses } from './problems.js'

export interface SourceRouteOptions {
  database: Database
  sealer: Sealer
  ownSources: OwnSources
  sources: SourceSettings
}

const Params = Type.Object({ id: { ...OwnSource.properties.id, description: 'A source id (src_...).' } })
/** A test holds a message, which SNS bounds to 256 KiB and others to more. */
const TEST_BODY_LIMIT = 2 * 1024 * 1024
const tags = ['sources']

const SourceTest = Type.Object(
  {
    source: Type.Optional({
      ...SourceCreate,
      description: 'A source as it would be made. Its topics are not looked at.',
    }),
    source_id: Type.Optional({ ...OwnSource.properties.id, description: 'Or one that there is.' }),
    message: Type.Unsafe<Json>({ description: "The message: JSON, or a text as SNS's Message is." }),
  },
  {
    additionalProperties: false,
    examples: [
      {
        source: EXAMPLE_SOURCE,
        message: { product: 'acme', incident: { id: 7, name: 'Odd login', level: 'high', ips: ['203.0.113.9'] } },
      },
    ],
  },
)
const AnyObject = (description: string) =>
  Type.Unsafe<JsonObject>({ type: 'object', additionalProperties: true, description })
const SourceTestResult = Type.Object({
  matches: Type.Boolean({ description: 'Whether the filter matches.' }),
  failed: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() }), {
    description: 'Where the message fails the filter, JSON pointers into it; empty when it matches.',
  }),
  changes: Type.Array(
    Type.Object({
      state: oneOf(['active', 'resolved']),
      updated_alert: AnyObject('The alert, as it is stored of this message.'),
      incoming_rule_matches_context: AnyObject('The context, as it is stored of this message.'),
    }),
    { description: 'The alert changes that the message would be; empty: it would be left to the next source.' },
  ),
  error: nullableText('Why the message would be no change: the mapping fails, or a built-in source reads it before.'),
})

export const sourceRoutes: FastifyPluginAsyncTypebox<SourceRouteOptions> = async (http, options) => {
  const { database, ownSources } = options
  const once = createOnce(options)
  takeLosslessJson(http)
  // keeps every digit of the numbers in a filter; Fastify's own serializer rounds large ones
  http.setSerializerCompiler(() => (answer) => stringifyJson(answer as Json))

  http.post(
    '/sources',
    {
      schema: {
        operationId: 'createSource',
        tags,
        summary: 'Make a source',
        description: 'It reads messages from now on. There may be 100.',
        headers: IdempotencyHeaders,
        body: SourceCreate,
        response: {
          201: answer('It is made. `location` is its path.', refTo(OwnSource), CREATED_SOURCE),
          ...problemResponses(400, 401, 409, 415, 422),
        },
      },
    },
    async (request, reply) => {
      // the validator has filled in the schema's defaults
      const body = request.body as Required<SourceCreate>
      const source = await once(request, async (tx) => {
        const now = new Date().toISOString()
        const source: OwnSource = { id: newId('src'), ...body, created_at: now, updated_at: now }
        checkSource(source)
        await audit(tx, request, { action: 'source.created', target: source.id, after: source })
        await insertSource(tx, source)
        return source
      })
      await learn(ownSources, request)
      return reply.code(201).header('location', `/v1/sources/${source.id}`).send(source)
    },
  )

  http.get(
    '/sources',
    {
      schema: {
        operationId: 'listSources',
        tags,
        summary: 'List sources',
        querystring: Type.Object({
          ...PageQuery,
          name: Type.Optional(Type.String({ description: 'The one of this name.' })),
        }),
        response: {
          200: answer(
            'A page of sources, newest first. They are asked in the order of their names.',
            PageOf(refTo(OwnSource)),
          ),
          ...problemResponses(400, 401),
        },
      },
    },
    async ({ query }) => listSources(database, query, query),
  )

  http.get(
    '/sources/:id',
    {
      schema: {
        operationId: 'getSource',
        tags,
        summary: 'Show a source',
        params: Params,
        response: { 200: answer('The source.', refTo(OwnSource)), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => found(await findSource(database, params.id), 'source'),
  )

  http.patch(
    '/sources/:id',
    {
      schema: {
        operationId: 'updateSource',
        tags,
        summary: 'Change a source',
        description: 'It reads the messages from now on so. What it read before stays as it is.',
        params: Params,
        body: SourcePatch,
        response: {
          200: answer('The source as it is now.', refTo(OwnSource)),
          ...problemResponses(400, 401, 404, 409, 415),
        },
      },
    },
    async (request) => {
      const { params, body } = request
      const changed = await database.transaction(async (tx) => {
        const source = found(await lockSource(tx, params.id), 'source')
        const changed: OwnSource = { ...source, ...body, updated_at: new Date().toISOString() }
        checkSource(changed)
        await audit(tx, request, { action: 'source.updated', target: params.id, before: source, after: changed })
        await updateSource(tx, changed)
        return changed
      })
      await learn(ownSources, request)
      return changed
    },
  )

  http.delete(
    '/sources/:id',
    {
      schema: {
        operationId: 'deleteSource',
        tags,
        summary: 'Delete a source',
        description: 'Its alerts stay.',
        params: Params,
        response: {
          204: Type.Null({ description: 'The source is deleted; there is no body.' }),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request, reply) => {
      const { params } = request
      await database.transaction(async (tx) => {
        const source = found(await lockSource(tx, params.id), 'source')
        await audit(tx, request, { action: 'source.deleted', target: params.id, before: source })
        await deleteSource(tx, params.id)
      })
      await learn(ownSources, request)
      return reply.code(204).send(null)
    },
  )

  http.post(
    '/sources/test',
    {
      bodyLimit: TEST_BODY_LIMIT,
      schema: {
        operationId: 'testSource',
        tags,
        summary: 'Test a source',
        description: 'Tells what would come of a message. Nothing is stored.',
        body: SourceTest,
        response: {
          200: answer('What would come of it.', SourceTestResult),
          ...problemResponses(400, 401, 404, 413, 415, 503),
        },
      },
    },
    async ({ body: { source: given, source_id: id, message } }) => {
      if ((given === undefined) === (id === undefined)) {
        const detail = 'is required, or source_id instead of it'
        throw new Refusal('invalid_request', `source ${detail}`, { errors: [{ path: '/source', detail }] })
      }
      if (given) refuseFields(sourceErrors({ topics: [], ...given }, '/source'))
      return testSource(options, given ?? found(await findSource(database, id!), 'source'), message)
    },
  )
}

/** Has this process read a change that is stored. Where it cannot now, it will within seconds. */
async function learn(ownSources: OwnSources, { log }: FastifyRequest): Promise<void> {
  await ownSources.refresh().catch((error: unknown) => log.warn({ err: error }, 'a change of sources is not read yet'))
}

async function testSource(
  { ownSources, sources }: SourceRouteOptions,
  source: Pick<OwnSource, 'name' | 'filter' | 'mapping'>,
  given: Json,
) {
  const now = new Date()
  const text = typeof given === 'string' ? given : stringifyJson(given)
  const message = { messageId: null, topicArn: null, subject: undefined, message: text, sentAt: now }
  const read = readParts(message, sources, now)
  const [whole] = read.parts
  const by = whole.source ?? 'matano'
  if (read.unknown === undefined) {
    const remedy = by === 'matano' ? '' : ` (SOURCES_DISABLED=${by} leaves it to others)`
    return { matches: false, failed: [], changes: [], error: `${by} reads this message before any own source${remedy}` }
  }
  const policy = parseFilterPolicy(source.filter)
  if (!matchesFilter(source.filter, policy, read.unknown)) {
    return { matches: false, failed: explainMismatch(policy, read.unknown), changes: [], error: null }
  }
  const reading = await ownSources.test(source, read.unknown, now)
  const parts = reading ? partsOf(message, read, { ...reading, reason: 'source' }, now).parts : []
  return {
    matches: true,
    failed: [],
    changes: parts.flatMap(({ change }) => {
      if (!change?.finding) return []
      const document = parseJson(change.finding.document) as Record<
        'updated_alert' | 'incoming_rule_matches_context',
        JsonObject
      >
      return { state: change.finding.state ?? ('active' as const), ...document }
    }),
    error: parts.find(({ unread }) => unread)?.unread?.detail ?? null,
  }
}
