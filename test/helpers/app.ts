/** The application in this process, without a socket: requests are injected. The environment selects the backend. */
import type { LightMyRequestResponse } from 'fastify'
import type { Logger } from 'pino'
import type { Test } from 'tap'
import { createApp, type App } from '../../src/app.js'
import { loadConfig } from '../../src/core/platform/config.js'
import { createLogger } from '../../src/core/platform/logger.js'
import { injectUntilAccepted } from './inject.js'
import { createTestDatabaseUrl, createTestDataDir, relayRedisUrl } from './backends.js'

export const TEST_KEY = 'a-key-for-the-tests'

export interface TestApp extends App {
  /** Sends a request to the API with the key. */
  api(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    payload?: object,
  ): Promise<LightMyRequestResponse>
  /** Posts an SNS message: an object is sent as JSON, a string or bytes unchanged. */
  sns(body: object | string | Buffer, headers?: Record<string, string>): Promise<LightMyRequestResponse>
}

/** Creates the application; the test starts its workers. */
export async function createTestApp(
  t: Test,
  settings: Record<string, string> = {},
  log: Logger = createLogger('silent'),
): Promise<TestApp> {
  const databaseUrl = await createTestDatabaseUrl(t)
  const config = loadConfig({
    DATA_DIR: await createTestDataDir(t),
    DATABASE_URL: databaseUrl,
    REDIS_URL: databaseUrl && relayRedisUrl,
    API_KEYS: TEST_KEY,
    ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
    SNS_PUBLISH_TOPICS: 'arn:aws:sns:*:*:*',
    ...settings,
  })
  const app = await createApp(config, log)
  t.teardown(() => app.close())
  await app.http.ready()
  return {
    ...app,
    api: (method, url, payload) =>
      injectUntilAccepted(app.http, { method, url, payload, headers: { authorization: `Bearer ${TEST_KEY}` } }),
    sns: (body, headers = {}) =>
      injectUntilAccepted(app.http, {
        method: 'POST',
        url: '/sns',
        headers: { 'content-type': 'text/plain; charset=UTF-8', ...headers },
        payload: typeof body === 'string' || body instanceof Buffer ? body : JSON.stringify(body),
      }),
  }
}
