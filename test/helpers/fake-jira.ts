/**
 * Jira Cloud on loopback, as far as the format `jira` uses it: issues with labels and properties, comments, transitions, and a
 * search that lags.
 *
 * Guarantee: it does what it is asked before its answer is lost, as a real one does.
 */
import type { Test } from 'tap'
import { createReceiver, type ReceivedRequest, type Reply } from './receiver.js'

interface Issue {
  id: string
  fields: { labels: string[]; summary: string; project: { key: string } }
  properties: { key: string; value: unknown }[]
  comments: { id: string; body: unknown }[]
  status: string
}

export interface FakeJira {
  /** The webhook's URL. */
  url: string
  issues: Issue[]
  /** The requests, such as "POST issue" and "GET issue/10000/comment". */
  requests: string[]
  /** Issues that the search does not list yet, by id. */
  unlisted: Set<string>
  /** The request whose next answer is lost. */
  loses: string | undefined
  /** The request that is refused, with its status; `done`: it was done all the same. */
  refuses: { request: string; status: number; done?: true } | undefined
}

const STATUSES = { Open: 'new', Done: 'done', "Won't fix": 'done' } as Record<string, string>
const TRANSITIONS = [
  { id: '11', name: 'Reopen', to: { name: 'Open' }, from: 'done' },
  { id: '31', name: 'Resolve this issue', to: { name: 'Done' }, from: 'new' },
]

export async function createFakeJira(t: Test): Promise<FakeJira> {
  const jira: FakeJira = {
    ...{ url: '', issues: [], requests: [], unlisted: new Set<string>(), loses: undefined, refuses: undefined },
  }
  const respond = (request: ReceivedRequest): Reply => {
    const url = new URL(request.path, 'http://jira.example')
    const path = url.pathname.replace('/rest/api/3/', '')
    const name = `${request.method} ${path}`
    jira.requests.push(name)
    const refusal = jira.refuses?.request === name ? jira.refuses : undefined
    if (refusal && !refusal.done) return { status: refusal.status, body: '{"errorMessages":["no"]}' }
    const answer = answerTo(jira, path, request)
    if (jira.loses === name) {
      jira.loses = undefined
      return { status: 200, breaks: true }
    }
    if (refusal) return { status: refusal.status }
    if (answer === undefined) return { status: 404, body: '{}' }
    return { status: request.method === 'POST' && path !== 'search/jql' ? 201 : 200, body: JSON.stringify(answer) }
  }
  const receiver = await createReceiver({ respond })
  t.teardown(() => receiver.close())
  jira.url = `http://127.0.0.1:${receiver.port}/rest/api/3/issue`
  return jira
}

/** Does what a request asks. @returns undefined for what is not there */
function answerTo(jira: FakeJira, path: string, { method, json }: ReceivedRequest): unknown {
  if (path === 'search/jql') return found(jira, json as { jql: string })
  if (path === 'issue') return created(jira, json as Pick<Issue, 'fields' | 'properties'>)
  const [, id, part] = /^issue\/(\d+)(?:\/(\w+))?$/.exec(path) ?? []
  const issue = jira.issues.find((one) => one.id === id)
  if (!issue) return undefined
  if (part === 'comment' && method === 'GET') return { comments: issue.comments.toReversed() }
  if (part === 'comment') {
    const comment = { id: String(issue.comments.length + 1), body: (json as { body: unknown }).body }
    issue.comments.push(comment)
    return comment
  }
  const category = STATUSES[issue.status]!
  const transitions = TRANSITIONS.filter(({ from }) => from === category)
  if (part === undefined) {
    return { id, fields: { status: { name: issue.status, statusCategory: { key: category } } }, transitions }
  }
  const asked = (json as { transition: { id: string } }).transition.id
  issue.status = transitions.find((one) => one.id === asked)!.to.name
  return {}
}

function found(jira: FakeJira, { jql }: { jql: string }): unknown {
  const [, project, label] = /^project = "(\w+)" AND labels = "([\w.-]+)" ORDER BY created ASC$/.exec(jql)!
  const issues = jira.issues.filter(
    ({ id, fields }) => fields.project.key === project && fields.labels.includes(label!) && !jira.unlisted.has(id),
  )
  return {
    issues: issues.slice(0, 1).map(({ id, properties }) => ({
      id,
      properties: Object.fromEntries(properties.map(({ key, value }) => [key, value])),
    })),
  }
}

function created(jira: FakeJira, { fields, properties }: Pick<Issue, 'fields' | 'properties'>): unknown {
  const id = String(10_000 + jira.issues.length)
  jira.issues.push({ id, fields, properties, comments: [], status: 'Open' })
  return { id, key: `${fields.project.key}-${jira.issues.length}` }
}
