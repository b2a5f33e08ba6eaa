/** /v1/topics: lists, approves and deletes SNS topics. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Database, Queryable } from '../core/platform/database.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Subscriptions } from '../core/sns/subscriptions.js'
import { findTopic, listTopics } from '../core/sns/topic-store.js'
import { Topic, type TopicStatus } from '../core/sns/topic.js'
import { audit, boundsOf } from './access.js'
import { answer } from './answers.js'
import { found, problemResponses } from './problems.js'

export interface TopicRouteOptions {
  database: Database
  subscriptions: Subscriptions
}

const Params = Type.Object({ arn: Type.String({ maxLength: 400, description: 'The topic ARN.' }) })
const tags = ['topics']

export const topicRoutes: FastifyPluginAsyncTypebox<TopicRouteOptions> = async (http, { database, subscriptions }) => {
  http.get(
    '/topics',
    {
      schema: {
        operationId: 'listTopics',
        tags,
        summary: 'List topics',
        description: 'In the order of their ARNs.',
        querystring: Type.Object({ ...PageQuery, status: Type.Optional(Topic.properties.status) }),
        response: { 200: answer('A page of topics.', PageOf(refTo(Topic))), ...problemResponses(400, 401) },
      },
    },
    async (request) => {
      const { limit, cursor, status } = request.query
      return listTopics(database, { status, topics: boundsOf(request).topics ?? undefined }, { limit, cursor })
    },
  )

  http.get(
    '/topics/:arn',
    {
      schema: {
        operationId: 'getTopic',
        tags,
        summary: 'Show a topic',
        params: Params,
        response: { 200: answer('The topic.', refTo(Topic)), ...problemResponses(400, 401, 404) },
      },
    },
    async ({ params }) => found(await findTopic(database, params.arn), 'topic'),
  )

  http.post(
    '/topics/:arn/approve',
    {
      schema: {
        operationId: 'approveTopic',
        tags,
        summary: 'Approve a pending topic',
        description:
          'Confirms the subscription with SNS; from then on the topic is taken. A topic of which a notification waits is ' +
          'subscribed already. SNS answers an expired token with an error: PUT /v1/topics/{arn} then, and subscribe again.',
        params: Params,
        response: {
          200: answer('The topic is approved: as it is now.', refTo(Topic)),
          ...problemResponses(400, 401, 404, 503),
        },
      },
    },
    async (request) => {
      const { arn } = request.params
      await subscriptions.approve(arn, { log: request.log, record: approvalRecord(request, arn, 'pending') })
      return found(await findTopic(database, arn), 'topic')
    },
  )

  http.put(
    '/topics/:arn',
    {
      schema: {
        operationId: 'approveTopicInAdvance',
        tags,
        summary: 'Approve a topic, also before it is subscribed',
        description:
          'From then on its messages are taken, and its subscriptions are confirmed as they come; one that waits is ' +
          'confirmed now. Approving it again changes nothing. There is no body.',
        params: Params,
        response: {
          200: answer('The topic is approved: as it is now.', refTo(Topic)),
          ...problemResponses(400, 401, 409),
        },
      },
    },
    async (request) => {
      const { arn } = request.params
      const before = await findTopic(database, arn)
      await subscriptions.approveInAdvance(arn, {
        log: request.log,
        record: approvalRecord(request, arn, before?.status),
      })
      return found(await findTopic(database, arn), 'topic')
    },
  )

  http.delete(
    '/topics/:arn',
    {
      schema: {
        operationId: 'deleteTopic',
        tags,
        summary: 'Forget a topic',
        description:
          'Takes an approval back, or turns a pending topic down; its events stay. A topic that SNS_TOPICS lists is still ' +
          'taken. The subscription itself is ended in SNS.',
        params: Params,
        response: {
          204: Type.Null({ description: 'The topic is forgotten; there is no body.' }),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request, reply) => {
      const { arn } = request.params
      await database.transaction(async (tx) => {
        const { status } = found(await findTopic(tx, arn), 'topic')
        found((await subscriptions.forget(tx, arn)) || undefined, 'topic')
        await audit(tx, request, { action: 'topic.deleted', target: arn, before: { status } })
      })
      return reply.code(204).send(null)
    },
  )
}

/** Records an approval in the audit log, in the transaction that stores it. */
function approvalRecord(request: FastifyRequest, arn: string, before: TopicStatus | undefined) {
  return async (tx: Queryable) => {
    const after = await findTopic(tx, arn)
    await audit(tx, request, {
      action: 'topic.approved',
      target: arn,
      ...(before ? { before: { status: before } } : {}),
      after: { status: after?.status },
    })
  }
}
