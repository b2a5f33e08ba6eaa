/**
 * The body that one webhook receives, in its format.
 *
 * Promise: a body that many webhooks share is serialised once; a template that fails is an outcome, never an exception.
 */
import type { StoredEvent } from '../event/event.js'
import { parseJson, stringifyJson, type JsonObject } from '../platform/json.js'
import { cutBody } from './body.js'
import type { FormatName } from './format-names.js'
import type { FormatOptions } from './options.js'
import { renderFormat } from './receivers.js'
import { createTemplateRenderer } from './template.js'

/** A body, ready to be signed and sent as UTF-8. */
export interface Outgoing {
  contentType: string
  text: string
  /** For a receiver that takes no more: the body cut to what was new; the whole of it in formats of another shape. */
  cut(): string
}

/** `error`: what is wrong with a template, in one line. */
export type RenderResult = { ok: true; outgoing: Outgoing } | { ok: false; error: string }

export interface Renderer {
  /**
   * @param body the body of the format `change`
   * @param options the format's options, as they are to be used or as they may be shown
   */
  render(
    webhook: { format: FormatName },
    event: StoredEvent,
    body: JsonObject,
    options: FormatOptions,
  ): Promise<RenderResult>
  close(): void
}

const JSON_TYPE = 'application/json'

export function createRenderer(): Renderer {
  const templates = createTemplateRenderer()
  /** Texts of bodies, for as long as somebody holds the body. */
  const texts = new WeakMap<JsonObject, string>()

  function change(body: JsonObject): Outgoing {
    let text = texts.get(body)
    if (text === undefined) texts.set(body, (text = stringifyJson(body)))
    const whole = text
    // out of the text, so that an attempt under way does not hold the body
    return { contentType: JSON_TYPE, text, cut: () => stringifyJson(cutBody(parseJson(whole) as JsonObject)) }
  }

  return {
    async render({ format }, event, body, options) {
      if (format === 'change') return { ok: true, outgoing: change(body) }
      if (format !== 'template') return { ok: true, outgoing: whole(renderFormat(format, { event, body, options })) }
      const answer = await templates.render(options.template ?? '', body)
      return answer.ok ? { ok: true, outgoing: whole({ contentType: JSON_TYPE, text: answer.text }) } : answer
    },
    close: () => templates.close(),
  }
}

function whole({ contentType, text }: { contentType: string; text: string }): Outgoing {
  return { contentType, text, cut: () => text }
}
