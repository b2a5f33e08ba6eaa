/** Example answers from a real run; test/openapi.test.ts repeats the requests and compares the answers. */

export const CREATED_WEBHOOK = {
  id: 'wh_01a21f6dad70716ab6866d2691fad58d',
  url: 'https://soar.example.com/hooks/alerts',
  event_types: ['alert.created', 'alert.updated'],
  name: null,
  description: '',
  status: 'enabled',
  topics: [],
  filter: null,
  format: 'change',
  format_options: {},
  success: null,
  headers: {},
  auth: null,
  tls: null,
  signing: 'hmac',
  once: null,
  timeout_ms: 15000,
  retry_schedule_s: null,
  max_in_flight: null,
  rate_per_second: null,
  max_body_bytes: 1_048_576,
  order: 'none',
  coalesce: false,
  disabled_reason: null,
  health: 'healthy',
  failing_since: null,
  last_failure: null,
  created_at: '2026-11-27T23:53:31.248Z',
  updated_at: '2026-11-27T23:53:31.248Z',
  secret: 'whsec_DxQpNyX6z4yVBspWMg+iaVkeSfrp/DUKBN9miujz3gU=',
  public_key: null,
}

export const CREATED_KEY = {
  id: 'key_01a21f6dadf77390b01a3c4802d4b226',
  name: 'grafana',
  scope: 'read',
  created_at: '2026-11-27T23:53:31.383Z',
  expires_at: '2030-01-01T00:00:00.000Z',
  last_used_at: null,
  revoked_at: null,
  key: 'ark_01a21f6dadf77390b01a3c4802d4b226_kxfbxG3iCbQYrdkm14TEOB3VRePGGR9B6v_12C6sBXk',
}

export const CREATED_SOURCE = {
  id: 'src_01a21f6dae0d7e10a3e5a4be1a2f5d3c',
  name: 'acme',
  description: '',
  topics: [],
  filter: { product: ['acme'] },
  mapping:
    '{ "id": incident.id, "title": incident.name, "severity": incident.level, "context": { "source.ip": incident.ips } }',
  enabled: true,
  created_at: '2026-11-28T07:10:31.248Z',
  updated_at: '2026-11-28T07:10:31.248Z',
}
