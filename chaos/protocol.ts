/** The commands that the driver sends to the receivers' process; each gets one result. */
import type { Expected, Summary } from './delivery-log.js'
import type { Interval } from './lateness.js'

export type Command =
  /** Starts the receivers. Result: the URL of each. */
  | { do: 'listen'; seed: number }
  /** The signing secret of each receiver. */
  | { do: 'secrets'; secrets: Record<string, string> }
  /** Ends all misbehaviour. */
  | { do: 'recover' }
  /** The events that every receiver is to get, and the faults that excuse a delay; replaces earlier ones. */
  | { do: 'expect'; events: Expected[]; faults: Interval[] }
  /** Result: the report of each receiver. */
  | { do: 'report' }

export interface Report extends Summary {
  /** The maximum number of requests in flight. */
  maxInFlight: number
  /** The maximum number of requests in one second. */
  maxPerSecond: number
}

export interface Results {
  listen: Record<string, string>
  secrets: null
  recover: null
  expect: null
  report: Record<string, Report>
}
