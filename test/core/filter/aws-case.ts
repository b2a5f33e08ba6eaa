/** A fact about AWS's filter policies, for tests. */
import type { Json } from '../../../src/core/platform/json.js'

export interface AwsCase {
  /** Where the fact was read. */
  source: string
  policy: Json
  /** Bodies that match. */
  matching?: Json[]
  /** Bodies that do not. */
  failing?: Json[]
}
