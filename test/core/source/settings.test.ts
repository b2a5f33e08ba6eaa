import t from 'tap'
import { loadConfig } from '../../../src/core/platform/config.js'
import { sourceSettings } from '../../../src/core/source/settings.js'

const settingsOf = (environment: Record<string, string>) => sourceSettings(loadConfig(environment))

t.test('sources that are off, and severities by source or kind', async (t) => {
  t.same(settingsOf({}), { disabled: new Set(), enabled: new Set<string>(), severities: new Map() })
  t.same(settingsOf({ SOURCES_DISABLED: 'falco, guardduty', SOURCE_SEVERITY: 'config=low,health.issue=high' }), {
    disabled: new Set(['falco', 'guardduty']),
    enabled: new Set<string>(),
    severities: new Map([
      ['config', 'low'],
      ['health.issue', 'high'],
    ]),
  })
})

t.test('a wrong value is one line that names the setting and what may stand there', async (t) => {
  for (const [environment, message] of [
    [{ SOURCES_DISABLED: 'guardDuty' }, /^SOURCES_DISABLED .* got guardDuty: guardduty, .*falco$/],
    [{ SOURCES_ENABLED: 'falco' }, /^SOURCES_ENABLED may be cloudtrail, got falco: all others are on$/],
    [{ SOURCE_SEVERITY: 'config' }, /^SOURCE_SEVERITY .* got config: the severities are info, .*critical$/],
    [{ SOURCE_SEVERITY: 'config=urgent' }, /^SOURCE_SEVERITY .* got config=urgent: /],
    [{ SOURCE_SEVERITY: 'configs=low' }, /^SOURCE_SEVERITY .* got configs: guardduty, /],
    [{ SOURCE_SEVERITY: '=low' }, /^SOURCE_SEVERITY .* got =low/],
  ] as [Record<string, string>, RegExp][]) {
    t.throws(() => settingsOf(environment), { name: 'SettingError', message }, JSON.stringify(environment))
  }
})
