/** The header Idempotency-Key of routes that make something. */
import { Type, type Static } from 'typebox'
import { patterned } from '../core/platform/schema.js'

export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 255,
      ...patterned('^[\\x21-\\x7e]+$', 'printable ASCII without spaces'),
      description: 'Chosen by you, one per request.',
    }),
  ),
})
export type IdempotencyHeader = Static<typeof IdempotencyHeaders>
