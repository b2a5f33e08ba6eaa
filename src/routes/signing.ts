/**
 * /v1/webhooks/{id}/secret and /public-key: shows and rotates the signing secret of a webhook.
 *
 * Guarantee: a shared secret is only in the answer that creates it and at /secret. A private key is never in an answer; its
 * public key is. During a rotation every delivery has both signatures, so a receiver can verify with the old or the new
 * secret.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type Static } from 'typebox'
import { isSecret, isSigningKey, newSecret, newSigningKey, publicKeyOf } from '../core/delivery/signature.js'
import type { Database } from '../core/platform/database.js'
import { Refusal, type FieldError } from '../core/platform/errors.js'
import type { Sealer } from '../core/platform/secrets.js'
import {
  liveSecrets,
  rotateSecrets,
  ROTATION_OVERLAP_S,
  WebhookCreate,
  WebhookView,
  type Webhook,
} from '../core/webhook/webhook.js'
import { findTarget, lockWebhook, updateSecrets } from '../core/webhook/webhook-store.js'
import { audit } from './access.js'
import { answer } from './answers.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { found, problemResponses } from './problems.js'

export interface SigningRouteOptions {
  database: Database
  sealer: Sealer
}

const Params = Type.Object({ id: WebhookView.properties.id })
/** What a receiver verifies signatures with. */
export const SigningAnswer = Type.Object({
  secret: Type.Union([Type.String(), Type.Null()], {
    description: 'hmac: the shared secret, `whsec_` and base64; null with ed25519.',
  }),
  public_key: Type.Union([Type.String(), Type.Null()], {
    description: 'ed25519: the public key, `whpk_` and base64; null with hmac.',
  }),
})
type SigningAnswer = Static<typeof SigningAnswer>

const Rotation = Type.Object(
  {
    secret: WebhookCreate.properties.secret,
    signing: Type.Optional({ ...WebhookView.properties.signing, description: 'Left out: as before.' }),
    overlap_s: Type.Integer({
      minimum: 0,
      maximum: 30 * 24 * 3600,
      default: ROTATION_OVERLAP_S,
      description: 'For so many seconds every delivery is signed with the one before it too; 0: old ones end at once.',
    }),
  },
  { additionalProperties: false, examples: [{}] },
)
const tags = ['webhooks']

export const signingRoutes: FastifyPluginAsyncTypebox<SigningRouteOptions> = async (http, options) => {
  const { database, sealer } = options
  const once = createOnce(options)
  const currentSecret = async (id: string) => {
    const { secrets } = found(await findTarget(database, sealer, id), 'webhook')
    return liveSecrets(secrets, new Date())[0]!
  }

  http.get(
    '/webhooks/:id/secret',
    {
      schema: {
        operationId: 'getWebhookSecret',
        tags,
        summary: 'Show the signing secret',
        params: Params,
        response: {
          200: answer('What its receiver verifies with.', SigningAnswer),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request) => {
      const { id } = request.params
      const secret = await currentSecret(id)
      await audit(database, request, { action: 'webhook.secret_read', target: id })
      return toldOf(secret)
    },
  )

  http.get(
    '/webhooks/:id/public-key',
    {
      schema: {
        operationId: 'getWebhookPublicKey',
        tags,
        summary: 'Show the public key',
        description: 'Of a webhook that signs with ed25519: what its receiver verifies with.',
        params: Params,
        response: {
          200: answer(
            "The public key that the webhook's receiver verifies with.",
            Type.Object({ public_key: Type.String() }),
          ),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async ({ params }) => {
      const { public_key: publicKey } = toldOf(await currentSecret(params.id))
      return { public_key: found(publicKey ?? undefined, 'public key: this webhook signs with a shared secret') }
    },
  )

  http.post(
    '/webhooks/:id/secret/rotate',
    {
      schema: {
        operationId: 'rotateWebhookSecret',
        tags,
        summary: 'Replace the signing secret',
        description:
          'Every delivery is signed with the new secret and, for a day unless said otherwise, the one before it. Rotated again ' +
          'meanwhile, up to five old ones sign until their time is over; with an overlap of 0 none does.',
        params: Params,
        headers: IdempotencyHeaders,
        body: Rotation,
        response: {
          200: answer('The new secret, or the public half of the new key.', SigningAnswer),
          ...problemResponses(400, 401, 404, 415, 422),
        },
      },
    },
    async (request) => {
      const { params, body } = request
      return once(request, async (tx) => {
        const webhook = found(await lockWebhook(tx, sealer, params.id), 'webhook')
        const { secrets } = found(await findTarget(tx, sealer, params.id), 'webhook')
        const signing = body.signing ?? webhook.signing
        const secret = secretFor(signing, body.secret)
        const now = new Date()
        await audit(tx, request, { action: 'webhook.secret_rotated', target: params.id })
        const rotated = rotateSecrets(secrets, secret, now, body.overlap_s)
        await updateSecrets(tx, sealer, params.id, { secrets: rotated, signing }, now)
        return toldOf(secret)
      })
    },
  )
}

/**
 * The given secret, or a new one for this way of signing.
 * @throws Refusal 'invalid_request' naming the field if the given secret is invalid
 */
export function secretFor(signing: Webhook['signing'], given: string | undefined): string {
  const errors = secretErrors(signing, given)
  if (errors.length > 0) throw new Refusal('invalid_request', `secret ${errors[0]!.detail}`, { errors })
  return given ?? (signing === 'hmac' ? newSecret() : newSigningKey())
}

/** The errors of a secret that the caller gave; none if it gave no secret. */
export function secretErrors(signing: Webhook['signing'], given: string | undefined): FieldError[] {
  if (given === undefined || (signing === 'hmac' && isSecret(given))) return []
  const detail =
    signing === 'hmac'
      ? 'must be whsec_ and the base64 of 24 to 64 bytes'
      : 'cannot be given with ed25519: its keys are made here'
  return [{ path: '/secret', detail }]
}

/** What a receiver verifies with: the shared secret itself, or the public key of a private key. */
export function toldOf(secret: string): SigningAnswer {
  const isKey = isSigningKey(secret)
  return { secret: isKey ? null : secret, public_key: isKey ? publicKeyOf(secret) : null }
}
