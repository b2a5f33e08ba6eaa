/**
 * Renders the body for one webhook, in its format.
 *
 * Guarantee: a body that many webhooks share is serialised once; a failing template is a result, never an exception.
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
  /** The body cut to the diff, for a receiver with a size limit; in formats other than `change` the same as `text`. */
  cut(): string
}

/** `error`: what is wrong with a template, in one line. */
export type RenderResult = { ok: true; outgoing: Outgoing } | { ok: false; error: string }

export interface Renderer {
  /**
   * @param body the body of the format `change`
   * @param options the format's options; for a preview with secrets hidden
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
  /** The serialised bodies, for as long as the bodies are referenced. */
  const texts = new WeakMap<JsonObject, string>()

  function change(body: JsonObject): Outgoing {
    let text = texts.get(body)
    if (text === undefined) texts.set(body, (text = stringifyJson(body)))
    const full = text
    // parsed from the text, so that an attempt in flight does not keep the body in memory
    return { contentType: JSON_TYPE, text, cut: () => stringifyJson(cutBody(parseJson(full) as JsonObject)) }
  }

  return {
    async render({ format }, event, body, options) {
      if (format === 'change') return { ok: true, outgoing: change(body) }
      if (format !== 'template') return { ok: true, outgoing: uncut(renderFormat(format, { event, body, options })) }
      const answer = await templates.render(options.template ?? '', body)
      return answer.ok ? { ok: true, outgoing: uncut({ contentType: JSON_TYPE, text: answer.text }) } : answer
    },
    close: () => templates.close(),
  }
}

function uncut({ contentType, text }: { contentType: string; text: string }): Outgoing {
  return { contentType, text, cut: () => text }
}
