/**
 * The options of formats. Pure.
 *
 * Guarantee: a webhook that passes `checkFormat` can be rendered; an option that its format does not have is refused, not
 * ignored.
 */
import { Type, type Static } from 'typebox'
import type { FieldError } from '../platform/errors.js'
import { checkExpression, MAX_EXPRESSION_LENGTH } from '../platform/jsonata-syntax.js'
import { oneOf, patterned } from '../platform/schema.js'
import type { FormatName } from './format-names.js'

/** What Jira's administrators name. */
const NAME = {
  minLength: 1,
  maxLength: 255,
  ...patterned('^[^\\u0000-\\u001f]+$', 'without control characters'),
}

export const FormatOptions = Type.Object(
  {
    routing_key: Type.Optional(
      Type.String({
        ...patterned('^([0-9A-Za-z]{32}|\\*{8})$', '32 letters and digits'),
        description:
          'pagerduty: the integration key of an Events API v2 integration. A secret: it is never shown again.',
      }),
    ),
    project_key: Type.Optional(
      Type.String({
        maxLength: 255,
        ...patterned('^[A-Z][A-Z0-9_]+$', 'upper-case letters, digits and underscores, such as SEC'),
        description: 'jira: the key of the project in which issues are created, such as SEC.',
      }),
    ),
    issue_type: Type.Optional(
      Type.String({
        ...NAME,
        description: 'jira: the name of the issue type; left out: Task.',
      }),
    ),
    on_update: Type.Optional(
      oneOf(['create', 'comment', 'ignore'], {
        description:
          'jira: what a later change of an alert does. `create`, the default: an issue of its own. `comment`: it comments ' +
          'on the alert\'s issue, which a label finds. `ignore`: nothing. The last two need the webhook\'s `order: "alert"`.',
      }),
    ),
    resolve_transition: Type.Optional(
      Type.String({
        ...NAME,
        description: 'jira, with on_update: the transition (or its status) of the issue when its alert is resolved.',
      }),
    ),
    reopen_transition: Type.Optional(
      Type.String({
        ...NAME,
        description: 'jira, with on_update: the transition (or its status) of the issue when its alert is reopened.',
      }),
    ),
    template: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: MAX_EXPRESSION_LENGTH,
        description: 'template: a JSONata expression over the body of the change format; its result is sent as JSON.',
      }),
    ),
  },
  {
    additionalProperties: false,
    description: 'The options of the format: each option names the format that takes it.',
  },
)
export type FormatOptions = Static<typeof FormatOptions>

type OptionName = keyof FormatOptions

/** The required and optional options of each format; formats not listed take none. */
const OPTIONS_OF: { [F in FormatName]?: { required: OptionName[]; optional: OptionName[] } } = {
  pagerduty: { required: ['routing_key'], optional: [] },
  jira: { required: ['project_key'], optional: ['issue_type', 'on_update', 'resolve_transition', 'reopen_transition'] },
  template: { required: ['template'], optional: [] },
}

/** Options that are stored sealed and shown as `HIDDEN`. */
const SECRET_OPTIONS = ['routing_key'] as const satisfies readonly OptionName[]
const HIDDEN = '********'

/**
 * Checks that a format has its required options, no unknown ones, and a template that JSONata can parse. The shapes of the
 * options are validated by the schema before.
 * @returns the errors, each with a JSON pointer into the options; empty for valid options
 */
export function checkFormat(format: FormatName, options: FormatOptions): FieldError[] {
  const { required, optional } = OPTIONS_OF[format] ?? { required: [], optional: [] }
  const given = (Object.keys(options) as OptionName[]).filter((name) => options[name] !== undefined)
  const missing = required.filter((name) => !given.includes(name))
  const unknown = given.filter((name) => !required.includes(name) && !optional.includes(name))
  const wrongTemplate =
    format === 'template' && options.template !== undefined ? checkExpression(options.template) : undefined
  const moves = (['resolve_transition', 'reopen_transition'] as const).filter((name) => options[name] !== undefined)
  const idle = format === 'jira' && !keepsIssues(options) ? moves : []
  return [
    ...idle.map((name) => ({ path: `/${name}`, detail: 'needs on_update: "comment" or "ignore"' })),
    ...missing.map((name) => ({ path: `/${name}`, detail: `is required by the format ${format}` })),
    ...unknown.map((name) => ({ path: `/${name}`, detail: `is unknown to the format ${format}` })),
    ...(wrongTemplate === undefined ? [] : [{ path: '/template', detail: wrongTemplate }]),
  ]
}

/** The options with secrets hidden: for the view of a webhook, and for a preview, whose body contains them. */
export function hideSecrets(options: FormatOptions): FormatOptions {
  const hidden = { ...options }
  for (const name of SECRET_OPTIONS) if (hidden[name] !== undefined) hidden[name] = HIDDEN
  return hidden
}

/** True where later changes of an alert are for the issue that exists. */
export function keepsIssues({ on_update: onUpdate }: FormatOptions): boolean {
  return onUpdate === 'comment' || onUpdate === 'ignore'
}

/** The options that are no secrets, and the names of those that are. */
export function withoutSecrets(options: FormatOptions): { kept: FormatOptions; dropped: OptionName[] } {
  const kept = { ...options }
  const dropped = SECRET_OPTIONS.filter((name) => kept[name] !== undefined)
  for (const name of dropped) delete kept[name]
  return { kept, dropped }
}

/** Options of a request with hidden secrets replaced by the stored ones. */
export function revealSecrets(options: FormatOptions, current: FormatOptions): FormatOptions {
  const revealed = { ...options }
  for (const name of SECRET_OPTIONS) if (revealed[name] === HIDDEN) revealed[name] = current[name]
  return revealed
}
