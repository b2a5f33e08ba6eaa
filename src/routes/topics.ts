/** /v1/topics: lists, approves and deletes SNS topics. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Database } from '../core/platform/database.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import { refTo } from '../core/platform/schema.js'
import type { Subscriptions } from '../core/sns/subscriptions.js'
import { deleteTopic, findTopic, listTopics } from '../core/sns/topic-store.js'
import { Topic } from '../core/sns/topic.js'
import { audit } from './access.js'
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
    async ({ query: { limit, cursor, status } }) => listTopics(database, { status }, { limit, cursor }),
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
          'Confirms the subscription with SNS; from then on the topic is taken. SNS answers an expired token with an ' +
          'error: subscribe again then.',
        params: Params,
        response: {
          200: answer('SNS has confirmed the subscription: the topic as it is now.', refTo(Topic)),
          ...problemResponses(400, 401, 404, 503),
        },
      },
    },
    async (request) => {
      const { arn } = request.params
      const change = { before: { status: 'pending' }, after: { status: 'confirmed' } }
      await subscriptions.approve(arn, {
        log: request.log,
        record: (tx) => audit(tx, request, { action: 'topic.approved', target: arn, ...change }),
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
        found((await deleteTopic(tx, arn)) || undefined, 'topic')
        await audit(tx, request, { action: 'topic.deleted', target: arn, before: { status } })
      })
      return reply.code(204).send(null)
    },
  )
}
