/**
 * Renders the body for one webhook, in its format.
 *
 * Guarantee: a body that many webhooks share is serialised once; a failing template is a result, never an exception.
 */
import type { StoredEvent } from '../event/event.js'
import { stringifyJson, type JsonObject } from '../platform/json.js'
import { cutBody, cutOf, type Cut } from './body.js'
import type { FormatName } from './format-names.js'
import type { FormatInput, Rendered } from './input.js'
import type { FormatOptions } from './options.js'
import { renderFormat } from './receivers.js'
import { createTemplateRenderer } from './template.js'

/** A body, ready to be signed and sent as UTF-8. */
export interface Outgoing extends Rendered {
  /** How much was left out. */
  cut: Cut
}

/** `error`: what is wrong with a template, in one line. */
export type RenderResult = { ok: true; outgoing: Outgoing } | { ok: false; error: string }

/** What bounds a body: its bytes, and how much is left out at least. */
export interface BodyLimits {
  maxBytes: number
  cut: Cut
}

export interface Renderer {
  /**
   * Renders a body no larger than its limit where leaving out parts achieves that. `raw` is sent as it is.
   * @param body the body of the format `change`
   * @param options the format's options; for a preview with secrets hidden
   */
  render(
    webhook: { format: FormatName },
    event: StoredEvent,
    body: JsonObject,
    options: FormatOptions,
    limits: BodyLimits,
  ): Promise<RenderResult>
  close(): void
}

const JSON_TYPE = 'application/json'
const CUTS: readonly Cut[] = [0, 1, 2]

export function createRenderer(): Renderer {
  const templates = createTemplateRenderer()
  /** Texts of bodies by how much is left out, for as long as the body is referenced. */
  const texts = new WeakMap<JsonObject, string[]>()

  function changeText(body: JsonObject, cut: Cut): string {
    const known = texts.get(body) ?? []
    texts.set(body, known)
    return (known[cut] ??= stringifyJson(cutBody(body, cut)))
  }

  async function renderCut(format: FormatName, input: FormatInput, cut: Cut): Promise<Rendered | { error: string }> {
    if (format === 'change') return { contentType: JSON_TYPE, text: changeText(input.body, cut) }
    const body = cutBody(input.body, cut)
    if (format !== 'template') return renderFormat(format, { ...input, body })
    const answer = await templates.render(input.options.template ?? '', body)
    return answer.ok ? { contentType: JSON_TYPE, text: answer.text } : { error: answer.error }
  }

  return {
    async render({ format }, event, body, options, { maxBytes, cut: least }) {
      for (const cut of CUTS.slice(Math.max(least, cutOf(body)))) {
        const rendered = await renderCut(format, { event, body, options }, cut)
        if ('error' in rendered) return { ok: false, error: rendered.error }
        const { text } = rendered
        const isLast = cut === CUTS.at(-1) || format === 'raw'
        if (isLast || Buffer.byteLength(text) <= maxBytes) return { ok: true, outgoing: { ...rendered, cut } }
      }
      throw new Error('a body is cut at most twice')
    },
    close: () => templates.close(),
  }
}
