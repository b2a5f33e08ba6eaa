/** The input and the output of a format. */
import type { StoredEvent } from '../event/event.js'
import type { JsonObject } from '../platform/json.js'
import type { Conversation } from './conversation.js'
import type { FormatOptions } from './options.js'

export interface FormatInput {
  event: StoredEvent
  /** The body of the `change` format: an alert change, `{ message, subject, relay }` or `{ webhook, relay }`. */
  body: JsonObject
  /** Validated by `checkFormat`. */
  options: FormatOptions
}

/** A request body, ready to be signed and sent as UTF-8. */
export interface Rendered {
  contentType: string
  text: string
  /** Where the delivery is several requests; `text` is then the body of the one that makes something new. */
  conversation?: Conversation
}
