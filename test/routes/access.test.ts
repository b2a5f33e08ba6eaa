import t from 'tap'
import { scopeOf } from '../../src/routes/access.js'

t.test('a path needs the scope admin by whole segments, so a path with the same prefix does not', async (t) => {
  t.equal(scopeOf('GET', '/v1/keys'), 'admin')
  t.equal(scopeOf('DELETE', '/v1/keys/:id'), 'admin')
  t.equal(scopeOf('GET', '/v1/keystones'), 'read')
  t.equal(scopeOf('GET', '/v1/webhooks/:id/secret'), 'admin')
  t.equal(scopeOf('GET', '/v1/webhooks/:id/secrets'), 'read')
  t.equal(scopeOf('PUT', '/v1/webhooks/:id'), 'write')
  t.equal(scopeOf('OPTIONS', '/v1/anything'), 'write', 'a method that is not known to only read')
})
