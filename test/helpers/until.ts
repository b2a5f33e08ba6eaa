import { setTimeout as pause } from 'node:timers/promises'

const TRIES = 1200
const EVERY_MS = 25

/**
 * Polls until the condition holds: an attempt is recorded a moment after the receiver has responded.
 * @throws Error with the last value, after 30 s
 */
export async function until<T>(read: () => Promise<T>, isDone: (answer: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await read()
    if (isDone(answer)) return answer
    if (tries === TRIES) throw new Error(`the condition does not hold: ${JSON.stringify(answer)}`)
    await pause(EVERY_MS)
  }
}
