import { setTimeout as pause } from 'node:timers/promises'

const TRIES = 1200
const EVERY_MS = 25

/**
 * Asks again and again until the answer is right: what a receiver got is recorded a moment later.
 * @throws Error with the last answer, after half a minute
 */
export async function until<T>(ask: () => Promise<T>, isRight: (answer: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await ask()
    if (isRight(answer)) return answer
    if (tries === TRIES) throw new Error(`it stays ${JSON.stringify(answer)}`)
    await pause(EVERY_MS)
  }
}
