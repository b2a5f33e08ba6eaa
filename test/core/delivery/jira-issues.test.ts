/** The format `jira` with `on_update`: one issue an alert, whatever is lost on the way. */
import t, { type Test } from 'tap'
import { createAttempt } from '../../../src/core/delivery/attempt.js'
import type { FormatOptions } from '../../../src/core/format/options.js'
import { renderFormat } from '../../../src/core/format/receivers.js'
import { createSnsClient } from '../../../src/core/platform/sns-client.js'
import { newSecret } from '../../../src/core/delivery/signature.js'
import { createFakeJira, type FakeJira } from '../../helpers/fake-jira.js'
import { client } from '../../helpers/http-client.js'
import { findingInput, noticeInput, notificationInput } from '../format/inputs.js'

const OPTIONS: FormatOptions = {
  ...{ project_key: 'SEC', on_update: 'comment', resolve_transition: 'Done', reopen_transition: 'reopen' },
}

const SECRET = newSecret()

type Change = { type: string; id: string }

/** A relay process: what it remembers of issues ends with it. */
function startProcess(t: Test, jira: FakeJira, options: FormatOptions = OPTIONS) {
  const sns = createSnsClient(['arn:aws:sns:*:*:*'])
  t.teardown(() => sns.close())
  const send = createAttempt({ http: client(t), sns })
  return async ({ type, id }: Change, number = 1) => {
    const state = type === 'alert.resolved' ? 'resolved' : 'active'
    const input = type.startsWith('alert.')
      ? findingInput({ type, state }, {}, undefined, { id })
      : type === 'sns.notification'
        ? notificationInput('Disk full', null, { id })
        : noticeInput(type, { id: 'wh_1' })
    const { text, ...rendered } = renderFormat('jira', { ...input, options })
    const body = { ...rendered, bytes: Buffer.from(text) }
    const { event } = input
    const request = { url: jira.url, secrets: [SECRET], timeoutMs: 5000, event, replay: false, headers: {} }
    return send({ ...request, number, body })
  }
}

const CREATED = { type: 'alert.created', id: 'evt_1' }
const UPDATED = { type: 'alert.updated', id: 'evt_2' }
const RESOLVED = { type: 'alert.resolved', id: 'evt_3' }
const REOPENED = { type: 'alert.reopened', id: 'evt_4' }

t.test('an alert has one issue, which later changes comment on, resolve and reopen', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  t.match(await send(CREATED), { outcome: 'succeeded', statusCode: 201 })
  t.match(jira.issues, [
    {
      fields: {
        summary: 'New alert: A finding',
        labels: ['alert-relay', 'alert.created', 'severity-high', /^alert-[0-9a-f]{32}$/],
      },
    },
  ])
  t.match(await send(UPDATED), { outcome: 'succeeded', statusCode: 201 })
  t.match(await send(RESOLVED), { outcome: 'succeeded', statusCode: 201 })
  t.equal(jira.issues[0]!.status, 'Done')
  t.match(await send(REOPENED), { outcome: 'succeeded' })
  t.equal(jira.issues.length, 1)
  t.equal(jira.issues[0]!.status, 'Open')
  const texts = jira.issues[0]!.comments.map((comment) => JSON.stringify(comment))
  t.match(texts, [/Alert updated: A finding.*evt_2/, /Alert resolved: A finding.*evt_3/, /Alert reopened.*evt_4/])
})

t.test('another process finds the issue by its label', async (t) => {
  const jira = await createFakeJira(t)
  await startProcess(t, jira)(CREATED)
  jira.requests.length = 0
  t.match(await startProcess(t, jira)(UPDATED), { outcome: 'succeeded' })
  t.strictSame(jira.requests, ['POST search/jql', 'GET issue/10000/comment', 'POST issue/10000/comment'])
  t.equal(jira.issues.length, 1)
})

t.test('a repeated attempt makes nothing twice, whichever answer was lost', async (t) => {
  for (const [change, lost] of [
    [CREATED, 'POST issue'],
    [UPDATED, 'POST issue/10000/comment'],
    [RESOLVED, 'POST issue/10000/comment'],
    [RESOLVED, 'POST issue/10000/transitions'],
  ] as const) {
    for (const isKilled of [false, true]) {
      const jira = await createFakeJira(t)
      const send = startProcess(t, jira)
      if (change !== CREATED) await send(CREATED)
      jira.loses = lost
      const name = `${lost}, ${isKilled ? 'killed' : 'alive'}`
      const failed = await send(change)
      t.match(failed, { outcome: 'connection_failed', mayBeTaken: true }, name)
      const next = isKilled ? startProcess(t, jira) : send
      t.match(await next(change, 2), { outcome: 'succeeded' }, name)
      t.equal(jira.issues.length, 1, name)
      t.equal(jira.issues[0]!.comments.length, change === CREATED ? 0 : 1, name)
      t.equal(jira.issues[0]!.status, change === RESOLVED ? 'Done' : 'Open', name)
    }
  }
})

t.test('while the search lags no second issue is made', async (t) => {
  const jira = await createFakeJira(t)
  jira.unlisted.add('10000').add('10001')
  const send = startProcess(t, jira)
  jira.loses = 'POST issue'
  await send(CREATED)
  const waits = { outcome: 'not_sent', error: /^search: an issue may have been made just now/ }
  t.match(await send(CREATED, 2), waits, 'after a lost answer')
  jira.unlisted.clear()
  t.match(await send(CREATED, 3), { outcome: 'succeeded' })
  jira.unlisted.add('10000')
  t.match(await send(UPDATED), { outcome: 'succeeded' }, 'what this process knows needs no search')
  const other = startProcess(t, jira)
  t.match(await other(RESOLVED), { outcome: 'not_sent', error: /^search: Jira lists no issue of this alert/ })
  jira.unlisted.clear()
  t.match(await other(RESOLVED, 2), { outcome: 'succeeded' })
  t.equal(jira.issues.length, 1)
  t.equal(jira.issues[0]!.status, 'Done')
})

t.test('what a gateway did not answer for may have made an issue', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  jira.unlisted.add('10000')
  jira.refuses = { request: 'POST issue', status: 504, done: true }
  t.match(await send(CREATED), { outcome: 'rejected', error: 'create: status 504', mayBeTaken: true })
  jira.refuses = undefined
  t.match(await send(CREATED, 2), { outcome: 'not_sent' })
  jira.unlisted.clear()
  t.match(await send(CREATED, 3), { outcome: 'succeeded' })
  t.equal(jira.issues.length, 1)
})

t.test('an alert without an issue gets one from a later change, but for its end', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  t.match(await send(RESOLVED, 2), { outcome: 'succeeded', statusCode: 200 })
  t.equal(jira.issues.length, 0)
  t.match(await send(UPDATED, 2), { outcome: 'succeeded' })
  t.match(jira.issues, [{ fields: { summary: 'Alert updated: A finding' }, comments: [] }])
  jira.issues.length = 0
  t.match(await send(REOPENED), { outcome: 'rejected', error: 'comments: status 404' }, 'it was deleted')
  t.match(await send(REOPENED, 2), { outcome: 'succeeded' })
  t.equal(jira.issues.length, 1)
})

t.test('on_update ignore moves the issue and comments nothing', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira, { ...OPTIONS, on_update: 'ignore' })
  for (const change of [CREATED, UPDATED, RESOLVED]) t.match(await send(change), { outcome: 'succeeded' })
  t.match(jira.issues, [{ comments: [], status: 'Done' }])
  t.equal(jira.issues.length, 1)
})

t.test('an issue that a person has ended is left where it is', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  await send(CREATED)
  jira.issues[0]!.status = "Won't fix"
  t.match(await send(RESOLVED), { outcome: 'succeeded' })
  t.equal(jira.issues[0]!.status, "Won't fix")
})

t.test('a transition that does not exist is refused for good, with those that do', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira, { ...OPTIONS, resolve_transition: 'Closed' })
  await send(CREATED)
  const reason = 'transition: from "Open" there is no "Closed"; there are: Resolve this issue'
  t.match(await send(RESOLVED), { outcome: 'rejected', error: reason, final: reason, mayBeTaken: true })
})

t.test('the attempt log says which step failed', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  jira.refuses = { request: 'POST search/jql', status: 401 }
  t.match(await send(CREATED), { outcome: 'rejected', statusCode: 401, error: 'search: status 401', mayBeTaken: false })
  jira.refuses = { request: 'POST issue', status: 400 }
  t.match(await send(CREATED), { statusCode: 400, error: 'create: status 400', responseBody: /errorMessages/ })
  t.equal(jira.issues.length, 0)
})

t.test('what is no alert has an issue each, and a repeated attempt makes no second', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira)
  const notification = { type: 'sns.notification', id: 'evt_8' }
  jira.loses = 'POST issue'
  await send(notification)
  t.match(await startProcess(t, jira)(notification, 2), { outcome: 'succeeded' })
  t.match(await send({ ...notification, id: 'evt_9' }), { outcome: 'succeeded' })
  t.match(await send({ type: 'webhook.failing', id: '' }), { outcome: 'succeeded' })
  t.equal(jira.issues.length, 3)
})

t.test('without on_update every event makes an issue, in one request', async (t) => {
  const jira = await createFakeJira(t)
  const send = startProcess(t, jira, { project_key: 'SEC' })
  await send(CREATED)
  await send(UPDATED)
  t.strictSame(jira.requests, ['POST issue', 'POST issue'])
})
