/** The operator's settings of sources. Pure. */
import { SEVERITIES, type Severity } from '../alert/rule-match.js'
import { SettingError } from '../platform/errors.js'
import { CLOUDTRAIL, SOURCE_NAMES } from './source.js'

export interface SourceSettings {
  /** Sources whose messages are left as notifications. */
  disabled: ReadonlySet<string>
  /** What is read only where it is named. */
  enabled: ReadonlySet<string>
  /** The severity of findings that have none, by source (`health`) or kind (`health.issue`). */
  severities: ReadonlyMap<string, Severity>
}

export const DEFAULT_SOURCES: SourceSettings = { disabled: new Set(), enabled: new Set(), severities: new Map() }

/**
 * Checks SOURCES_DISABLED (`falco`), SOURCES_ENABLED (`cloudtrail`) and SOURCE_SEVERITY (`config=low`, `health.issue=high`).
 * @throws SettingError that names the setting and what may stand there
 */
export function sourceSettings(given: {
  sourcesDisabled: string[]
  sourcesEnabled: string[]
  sourceSeverity: string[]
}): SourceSettings {
  for (const name of given.sourcesDisabled) {
    if (!isSource(name)) throw new SettingError(`SOURCES_DISABLED must be names of sources, got ${name}: ${NAMES}`)
  }
  for (const name of given.sourcesEnabled) {
    if (name !== CLOUDTRAIL) {
      throw new SettingError(`SOURCES_ENABLED may be ${CLOUDTRAIL}, got ${name}: all others are on`)
    }
  }
  const enabled = new Set(given.sourcesEnabled)
  return {
    disabled: new Set(given.sourcesDisabled),
    enabled,
    severities: new Map(given.sourceSeverity.map(severityEntry)),
  }
}

const NAMES = SOURCE_NAMES.join(', ')

function isSource(name: string): boolean {
  return SOURCE_NAMES.some((known) => known === name)
}

function severityEntry(text: string): [string, Severity] {
  const [, name = '', source = '', word] = /^(([\w-]+)(?:\.[\w-]+)?)=(\w+)$/.exec(text) ?? []
  const severity = SEVERITIES.find((known) => known === word)
  if (severity === undefined) {
    throw new SettingError(
      `SOURCE_SEVERITY must be sources and severities such as config=low,health.issue=high, got ${text}: the severities are ${SEVERITIES.join(', ')}`,
    )
  }
  if (!isSource(source) && source !== CLOUDTRAIL) {
    throw new SettingError(`SOURCE_SEVERITY must name sources, got ${source}: ${NAMES}`)
  }
  return [name, severity]
}
