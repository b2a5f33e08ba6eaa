/**
 * The format `jira` with `on_update`: one issue an alert, which later changes comment on and move. Pure.
 *
 * Guarantee: an attempt that is made again makes no second issue and no second comment. The issue is found by its label
 * (`identityLabelOf`), and says in a property which event made it; a comment says its event in its text.
 *
 *   search ─ found ──▶ comment (unless this event made the issue, or is among the newest comments) ─▶ transition
 *          └ none ───▶ create ─▶ transition
 *
 * Jira's search lags behind by seconds: https://developer.atlassian.com/cloud/jira/platform/search-and-reconcile/. So what
 * this process made is known to it, and a change that must have an issue waits once before it is made without one.
 */
import { isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../../platform/json.js'
import { alertOf, headlineOf, highlightsOf, isResolved, typeOf } from '../highlights.js'
import type { Conversation, Known, Step, Verdict } from '../conversation.js'
import type { FormatInput } from '../input.js'
import { fit, oneLine } from '../text.js'
import { commentOf } from './jira-document.js'
import { identityLabelOf, jiraBody } from './jira.js'

/** The issue property that says which event made it. */
const PROPERTY = 'alert-relay'
/** Of the newest comments: a repeated attempt is seconds or hours after the first, not hundreds of comments. */
const COMMENTS = 10
const MAX_ERROR = 300

type Steps<T> = Generator<Step, T, string>

/** What a change is to do. */
interface Plan {
  eventId: string
  search: string
  create: string
  /** The comment for an issue that exists; undefined: none. */
  comment: string | undefined
  /** Where the issue is to go; undefined: nowhere. */
  move: Move | undefined
  /** True for a change of an alert that was created before. */
  isLater: boolean
  /** True for the end of an alert: no issue is made for it. */
  isEnd: boolean
}

interface Move {
  transition: string
  isEnd: boolean
}

export function jiraConversation(input: FormatInput): Conversation {
  const plan = planOf(input)
  return {
    key: identityLabelOf(input),
    eventId: plan.eventId,
    steps: ({ known, isRepeat }) => steps(plan, known, isRepeat),
  }
}

function planOf(input: FormatInput): Plan {
  const { event, options } = input
  const type = typeOf(input)
  const isEnd = isResolved(input.body) || type === 'alert.quiet'
  const transition =
    type === 'alert.resolved'
      ? options.resolve_transition
      : type === 'alert.reopened'
        ? options.reopen_transition
        : undefined
  const jql = `project = "${options.project_key}" AND labels = "${identityLabelOf(input)}" ORDER BY created ASC`
  const isOfAlert = alertOf(input.body) !== undefined && type !== 'webhook.test'
  const properties = [{ key: PROPERTY, value: { event_id: event.id } }]
  return {
    eventId: event.id,
    search: stringifyJson({ jql, maxResults: 1, fields: ['status'], properties: [PROPERTY] }),
    create: stringifyJson({ ...jiraBody(input), properties }),
    comment: isOfAlert && options.on_update === 'comment' ? commentBody(input) : undefined,
    move: transition === undefined ? undefined : { transition, isEnd },
    isLater: isOfAlert && type !== 'alert.created',
    isEnd: isOfAlert && isEnd,
  }
}

function commentBody(input: FormatInput): string {
  const highlights = highlightsOf(input)
  return stringifyJson({ body: commentOf(headlineOf(highlights), highlights) })
}

function* steps(plan: Plan, known: Known | undefined, isRepeat: boolean): Steps<Verdict> {
  const found = known?.id === undefined ? yield* search(plan) : known
  if (found === 'unreadable') return { kind: 'later', error: 'search: the answer is no list of issues' }
  if (found === undefined) {
    if (known) {
      return { kind: 'later', error: 'search: an issue may have been made just now; Jira does not list it yet' }
    }
    if (plan.isLater && !isRepeat) {
      return { kind: 'later', error: 'search: Jira lists no issue of this alert; the next attempt does without' }
    }
    if (plan.isEnd) return { kind: 'done', known: undefined }
  }
  const issue = found ?? (yield* create(plan))
  if (issue.id === undefined) return { kind: 'done', known: issue }
  const isMaker = issue.eventId === plan.eventId
  if (plan.comment !== undefined && !isMaker) yield* comment(issue.id, plan.eventId, plan.comment)
  else if (known?.id !== undefined && !plan.move) yield look(issue.id)
  const refusal = plan.move && (yield* move(issue.id, plan.move))
  return refusal ?? { kind: 'done', known: issue }
}

/** Where there is nothing to do and nothing was asked: that the issue exists. */
function look(id: string): Step {
  return { name: 'issue', method: 'GET', path: `issue/${id}?fields=status`, writes: false }
}

function* search({ search: body }: Plan): Steps<Known | 'unreadable' | undefined> {
  const answer = objectIn(yield { name: 'search', method: 'POST', path: 'search/jql', body, writes: false })
  if (!Array.isArray(answer?.issues)) return 'unreadable'
  if (answer.issues.length === 0) return undefined
  return issueIn(answer.issues[0]!) ?? 'unreadable'
}

/** A 2xx without an id, which may have broken off, made an issue all the same. */
function* create({ create: body, eventId }: Plan): Steps<Known> {
  const answer = yield { name: 'create', method: 'POST', path: 'issue', body, writes: true }
  return { id: issueIn(objectIn(answer) ?? null)?.id, eventId }
}

/** The answer is searched as it is: of a long one only the beginning is read, which has the newest comments. */
function* comment(id: string, eventId: string, body: string): Steps<void> {
  const newest = `issue/${id}/comment?orderBy=-created&maxResults=${COMMENTS}`
  const comments = yield { name: 'comments', method: 'GET', path: newest, writes: false }
  if (comments.includes(eventId)) return
  yield { name: 'comment', method: 'POST', path: `issue/${id}/comment`, body, writes: true }
}

/** @returns why it cannot be made */
function* move(id: string, { transition, isEnd }: Move): Steps<Verdict | undefined> {
  const path = `issue/${id}?fields=status&expand=transitions`
  const answer = objectIn(yield { name: 'transitions', method: 'GET', path, writes: false })
  const status = objectAt(objectAt(answer, 'fields'), 'status')
  if (!status) return { kind: 'later', error: 'transitions: the answer has no status of an issue' }
  const isDone = objectAt(status, 'statusCategory')?.key === 'done'
  const now = nameOf(status)
  // a person may have moved it, and so may an attempt whose answer was lost
  if (isDone === isEnd || sameName(now, transition)) return undefined
  const offered = Array.isArray(answer?.transitions) ? answer.transitions.filter(isJsonObject) : []
  const chosen =
    offered.find((one) => sameName(nameOf(one), transition)) ??
    offered.find((one) => sameName(nameOf(objectAt(one, 'to')), transition))
  if (typeof chosen?.id !== 'string') {
    const names = offered.map(nameOf).join(', ') || 'none'
    const error = `transition: from "${now}" there is no "${transition}"; there are: ${names}`
    return { kind: 'refused', error: fit(oneLine(error), MAX_ERROR) }
  }
  const body = stringifyJson({ transition: { id: chosen.id } })
  yield { name: 'transition', method: 'POST', path: `issue/${id}/transitions`, body, writes: true }
  return undefined
}

/** An issue's id is digits: it becomes part of a URL. */
function issueIn(value: Json): Known | undefined {
  if (!isJsonObject(value) || typeof value.id !== 'string' || !/^\d{1,20}$/.test(value.id)) return undefined
  const eventId = objectAt(objectAt(value, 'properties'), PROPERTY)?.event_id
  return { id: value.id, eventId: typeof eventId === 'string' ? eventId : '' }
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const json = parseJson(text)
    return isJsonObject(json) ? json : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function objectAt(object: JsonObject | undefined, key: string): JsonObject | undefined {
  const value = object?.[key]
  return isJsonObject(value) ? value : undefined
}

function nameOf(object: JsonObject | undefined): string {
  return typeof object?.name === 'string' ? object.name : ''
}

function sameName(a: string, b: string): boolean {
  return a.trim().toLowerCase() === b.trim().toLowerCase()
}
