// The rule files as data, for tests that examine them.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

/** Folder of prometheus.yml, rules/ and tests/. */
export const PROMETHEUS_FOLDER = join(import.meta.dirname, '../../infra/prometheus')

/** Full paths of the rule files. */
export const RULE_FILES: readonly string[] = ymlFiles('rules')
/** Full paths of the promtool tests. */
export const RULE_TEST_FILES: readonly string[] = ymlFiles('tests')

/** Alerts that `alerts-of-state.test.ts` causes, on a Redis that no other test uses. */
export const MADE_ON_OWN_REDIS: readonly string[] = [
  'SluiceAlertRateCollapsed',
  'SluiceEventLoopDelay',
  'SluiceRedisEvictions',
  'SluiceRedisMemoryNearLimit',
]

/** The dashboard of bridge and gateway. */
export const CONNECTIONS = 'sluice-connections'
/** Alerts that `connections.test.ts` causes. */
export const MADE_ON_CONNECTIONS: readonly string[] = [
  'SluiceBridgeAway',
  'SluiceBridgeBehind',
  'SluiceBridgeRefusals',
  'SluiceGatewayFallbacks',
  'SluiceGatewayNotReady',
]

/** Alerts that no test causes on running services, with the reason. Their rules are tested by promtool. */
export const ONLY_BY_PROMTOOL: Readonly<Record<string, string>> = {
  SluiceLatencyBudgetBurningSlowly: 'looks back over days; even divided it takes minutes to clear',
  SluiceNotScored: 'a model without valid scores is refused when it is loaded',
  SluiceBlockObjectiveBurningFast:
    'looks back an hour; test/integration/receipts.test.ts covers the counting',
  SluiceInputHeldBack:
    'stays quiet for a minute; test/integration/open-transaction.test.ts covers the metric',
  SluiceLakeBehind: 'its limit is a quarter of an hour, however times are divided',
  SluiceLakeChecksFailing: 'test/integration/lake-service.test.ts covers a batch that fails',
  SluiceBackendRefused: 'no backend that loads fails the golden vectors of the released model',
  SluiceMemoryNearLimit: 'needs a container with a limit',
  SluicePartitionsWithoutOwner:
    'needs two streams in one group, but scorers end when they find another stream in their group',
  SluiceControlLost: 'needs a broker on which only this topic cannot be read',
  SluiceFeatureDrift: 'looks back a week',
  SluiceScoreDrift: 'looks back a week',
  SluiceCascadeDisagrees:
    'needs thousands of sampled payments and a net that differs from its manifest',
  SluiceDraftsStand: 'test/unit/scorer/batch/verify-batch.test.ts covers a late answer',
  SluiceLeasesFull:
    'test/unit/scorer/publish/partition-blocks.test.ts covers a block beyond the limit',
  SluiceFeatureSkew: "looks back an hour; the meter's counts are tested on changed state",
}

export interface Rule {
  readonly alert?: string
  readonly record?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface AlertRule extends Rule {
  readonly alert: string
}

/** Every rule of a file's text. */
export function rulesOf(text: string): readonly Rule[] {
  const { groups } = parse(text) as { readonly groups: readonly { readonly rules: Rule[] }[] }
  return groups.flatMap(({ rules }) => rules)
}

/** Every committed rule. */
export function committedRules(): readonly Rule[] {
  return RULE_FILES.flatMap((file) => rulesOf(readFileSync(file, 'utf8')))
}

/** Every committed rule that alerts. */
export function committedAlerts(): readonly AlertRule[] {
  return committedRules().filter((rule): rule is AlertRule => rule.alert !== undefined)
}

function ymlFiles(folder: string): readonly string[] {
  return readdirSync(join(PROMETHEUS_FOLDER, folder))
    .filter((name) => name.endsWith('.yml'))
    .sort()
    .map((name) => join(PROMETHEUS_FOLDER, folder, name))
}
