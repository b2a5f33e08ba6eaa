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

/** A body, ready to be signed and sent. Its bytes are outside of the JavaScript heap, and shared as the body is. */
export interface Outgoing extends Omit<Rendered, 'text'> {
  /** UTF-8. */
  bytes: Buffer
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
  /** The bytes of bodies by how much is left out, for as long as the body is referenced. */
  const serialised = new WeakMap<JsonObject, Buffer[]>()

  function changeBytes(body: JsonObject, cut: Cut): Buffer {
    const known = serialised.get(body) ?? []
    serialised.set(body, known)
    return (known[cut] ??= Buffer.from(stringifyJson(cutBody(body, cut))))
  }

  async function renderCut(
    format: FormatName,
    input: FormatInput,
    cut: Cut,
  ): Promise<Omit<Outgoing, 'cut'> | { error: string }> {
    if (format === 'change') return { contentType: JSON_TYPE, bytes: changeBytes(input.body, cut) }
    const body = cutBody(input.body, cut)
    if (format !== 'template') {
      const { text, ...rendered } = renderFormat(format, { ...input, body })
      return { ...rendered, bytes: Buffer.from(text) }
    }
    const answer = await templates.render(input.options.template ?? '', body)
    return answer.ok ? { contentType: JSON_TYPE, bytes: Buffer.from(answer.text) } : { error: answer.error }
  }

  return {
    async render({ format }, event, body, options, { maxBytes, cut: least }) {
      for (const cut of CUTS.slice(Math.max(least, cutOf(body)))) {
        const rendered = await renderCut(format, { event, body, options }, cut)
        if ('error' in rendered) return { ok: false, error: rendered.error }
        const isLast = cut === CUTS.at(-1) || format === 'raw'
        if (isLast || rendered.bytes.length <= maxBytes) return { ok: true, outgoing: { ...rendered, cut } }
      }
      throw new Error('a body is cut at most twice')
    },
    close: () => templates.close(),
  }
}
