/** What people call the sources. Pure. */
import type { SourceName } from '../source/source.js'

const TITLES: Readonly<Record<SourceName | 'matano', string>> = {
  matano: 'Matano',
  guardduty: 'GuardDuty',
  'guardduty-s3-scan': 'GuardDuty Malware Protection',
  securityhub: 'Security Hub',
  ocsf: 'OCSF',
  inspector: 'Inspector',
  macie: 'Macie',
  'access-analyzer': 'IAM Access Analyzer',
  config: 'AWS Config',
  health: 'AWS Health',
  cloudwatch: 'CloudWatch',
  grafana: 'Grafana',
  alertmanager: 'Alertmanager',
  falco: 'Falco',
}

const BY_NAME: ReadonlyMap<string, string> = new Map(Object.entries(TITLES))

/** An operator's own source is called by its name. */
export function sourceTitleOf(source: string): string {
  return BY_NAME.get(source) ?? source
}
