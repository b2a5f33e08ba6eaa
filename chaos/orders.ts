/** What the driver and the receivers' process say to each other: each order gets one answer. */
import type { Expected, Tally } from './ledger.js'

export type Order =
  /** Listen. Answer: the URL of each receiver. */
  | { do: 'open'; seed: number }
  /** What each verifies with. */
  | { do: 'trust'; secrets: Record<string, string> }
  /** Misbehave no more. */
  | { do: 'heal' }
  /** What every receiver is to get; replaces what it was told before. */
  | { do: 'expect'; events: Expected[] }
  /** Answer: what each saw. */
  | { do: 'tell' }

export interface Report extends Tally {
  /** Requests under way at one time, at most. */
  maxInFlight: number
  /** Requests in one second, at most. */
  maxPerSecond: number
}

export interface Answers {
  open: Record<string, string>
  trust: null
  heal: null
  expect: null
  tell: Record<string, Report>
}
