/**
 * /v1/rule-matches: accepts rule matches and turns them into alert changes, for deployments without Matano.
 *
 * Guarantee: 202 means that the matches are counted and the changes of their alerts are stored. Numbers in a match keep every
 * digit.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { RuleMatch } from '../core/alert/rule-match.js'
import type { AcceptMatches, MatchedAlert } from '../core/event/accept-matches.js'
import { nullableText } from '../core/platform/schema.js'
import { answer } from './answers.js'
import { IdempotencyHeaders, idempotencyOf } from './idempotency.js'
import { takeLosslessJson } from './json-body.js'
import { problemResponses } from './problems.js'

export interface RuleMatchRouteOptions {
  acceptMatches: AcceptMatches
}

const BODY_LIMIT = 4 * 1024 * 1024
const MAX_MATCHES = 1000

const RuleMatches = Type.Object(
  { rule_matches: Type.Array(RuleMatch, { minItems: 1, maxItems: MAX_MATCHES }) },
  {
    additionalProperties: false,
    examples: [
      {
        rule_matches: [
          {
            rule: 'aws_root_credentials_change',
            title: 'AWS Root Credentials Change',
            severity: 'medium',
            dedupe: '2029292292992',
            table: 'aws_cloudtrail',
            context: {
              user: { name: 'backup' },
              source: { ip: '5.205.62.253' },
              file: { hash: { sha256: 'a3f5...' } },
            },
          },
        ],
      },
    ],
  },
)

const Accepted = Type.Object({
  alerts: Type.Array(
    Type.Object({
      rule: Type.String(),
      matches: Type.Integer({ description: 'Matches of this request that were counted here.' }),
      match_count: Type.Integer({ description: 'Matches in the window so far.' }),
      alert_id: nullableText('Null while the threshold is not reached.'),
      event_id: nullableText('The event that was made; null while the threshold is not reached.'),
      type: Type.Unsafe<MatchedAlert['type']>({
        type: ['string', 'null'],
        enum: ['alert.created', 'alert.updated', null],
      }),
    }),
    { description: 'One per rule and dedupe text, in the order of first appearance.' },
  ),
})

export const ruleMatchRoutes: FastifyPluginAsyncTypebox<RuleMatchRouteOptions> = async (http, { acceptMatches }) => {
  takeLosslessJson(http)

  http.post(
    '/rule-matches',
    {
      bodyLimit: BODY_LIMIT,
      schema: {
        operationId: 'createRuleMatches',
        tags: ['rule matches'],
        summary: 'Report rule matches',
        description:
          'Matches of one rule with the same dedupe text are one alert, from the first of them until its window ends. The ' +
          'matches of one request make one change of each alert. An Idempotency-Key makes a repeat harmless for a day: ' +
          'a key belongs to one API key and route, and a repeat has the same JSON, in any order of members.',
        headers: IdempotencyHeaders,
        body: RuleMatches,
        response: {
          202: answer('The matches are counted, and the changes of their alerts stored.', Accepted),
          ...problemResponses(400, 401, 413, 415, 422),
        },
      },
    },
    async (request, reply) => {
      const { body, log } = request
      const matches = body.rule_matches as RuleMatch[] // the validator has filled in the schema's defaults
      const alerts = await acceptMatches(matches, { idempotency: idempotencyOf(request), log })
      return reply.code(202).send({ alerts })
    },
  )
}
