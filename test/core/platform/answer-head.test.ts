import t from 'tap'
import { createInterimFilter, headFault, InvalidAnswer } from '../../../src/core/platform/answer-head.js'

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'
const INTERIM = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 199 \r\n\r\n'

/** What is left of an answer that comes in these pieces. */
function passed(pieces: string[]): string {
  const filter = createInterimFilter()
  filter.begin()
  return Buffer.concat(pieces.map((piece) => filter.strip(Buffer.from(piece, 'latin1')))).toString('latin1')
}

t.test('interim answers before an answer are removed, wherever they are split', async (t) => {
  for (const interim of ['', INTERIM]) {
    const bytes = interim + ANSWER
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const pieces = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)]
        if (passed(pieces) !== ANSWER) t.fail(JSON.stringify(pieces))
      }
    }
    t.equal(passed([...bytes]), ANSWER, 'also byte by byte')
  }
})

t.test('what is no interim answer passes at once', async (t) => {
  for (const bytes of ['HTTP/1.1 2', 'HTTP/2', 'SSH-2.0', '\r\n', 'HTTP/1.1 1x', 'HTTP/1.1 10 ', 'HTTP/1.1  10']) {
    t.equal(passed([bytes]), bytes)
  }
})

t.test('every request is filtered anew, and nothing is removed between an answer and the next request', async (t) => {
  const filter = createInterimFilter()
  const strip = (text: string) => filter.strip(Buffer.from(text)).toString()
  t.equal(strip(INTERIM), INTERIM)
  for (let i = 0; i < 3; i++) {
    filter.begin()
    t.equal(strip(INTERIM + ANSWER), ANSWER)
    t.equal(strip(INTERIM), INTERIM)
  }
})

t.test('a 101 is refused', async (t) => {
  t.throws(
    () => passed(['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 1', '01']),
    new InvalidAnswer('101 Switching Protocols, which was not asked for'),
  )
})

t.test('a fault is named in the words of llhttp, and only the head counts', async (t) => {
  const protocol = 'Response does not match the HTTP/1.1 protocol'
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n'
  t.equal(headFault(`${head}\r\ncontent-length: 2`), protocol)
  t.equal(headFault(`${head}Content-Length: 2`), `${protocol} (Duplicate Content-Length)`)
  t.equal(
    headFault(`${head}Transfer-Encoding: chunked\r\n\r\n`),
    `${protocol} (Transfer-Encoding can't be present with Content-Length)`,
  )
})
