/**
 * The format `template`: a JSONata expression over the body in the format `change`; its result is sent as JSON.
 *
 * In a template, `$now()` is the time at which the event was received, so that a body is the same at every attempt. A result
 * may be any JSON value, also a string, number, boolean or null; no result is an error.
 */
import { isJsonObject, type JsonObject } from '../platform/json.js'
import { createEvaluator, type EvaluatorBounds } from '../platform/jsonata.js'

/** `text` is JSON, sent as application/json; `error` is for the author of the template. */
export type Rendered = { ok: true; text: string } | { ok: false; error: string }

export interface TemplateRenderer {
  /** Never rejects. */
  render(template: string, body: JsonObject): Promise<Rendered>
  /** Ends the process; waiting evaluations resolve with an error. */
  close(): void
}

/** Starts nothing until the first template is rendered. */
export function createTemplateRenderer(bounds: Partial<EvaluatorBounds> = {}): TemplateRenderer {
  const evaluator = createEvaluator('template', bounds)
  return {
    async render(template, body) {
      const answer = await evaluator.evaluate({ expression: template, input: body, now: receivedAt(body) })
      if (!answer.ok) return { ok: false, error: answer.error }
      return answer.text === undefined
        ? { ok: false, error: 'the template has no result' }
        : { ok: true, text: answer.text }
    },
    close: () => evaluator.close(),
  }
}

function receivedAt({ relay }: JsonObject): Date {
  const time = isJsonObject(relay) ? Date.parse(String(relay.received_at)) : NaN
  return new Date(time || 0)
}
