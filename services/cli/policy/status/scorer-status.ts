// Whether running scorers serve the policy that is asked for, by what their own metrics say.

import { isSluiceError } from '../../../core/errors.ts'
import type { Choice } from '../../../core/control/deployment.ts'
import { fetchMetricsPage, metricsUrl, seriesOf } from '../../metrics-page.ts'

/**
 * Closed list. `serves`: what is asked for. `serves_another`: not yet, or of another stream. `refuses`: it cannot read what
 * is asked for. `no_scorer`: something else answers there. `unreachable`: nothing does.
 */
export const SCORER_VERDICTS = [
  'serves',
  'serves_another',
  'refuses',
  'no_scorer',
  'unreachable',
] as const
export type ScorerVerdict = (typeof SCORER_VERDICTS)[number]

export interface ScorerStatus {
  /** Of its metrics page. */
  readonly url: string
  readonly verdict: ScorerVerdict
  /** Of the ruleset that it serves; 0 is the built-in policy. Null where nothing is known. */
  readonly version: number | null
  readonly digest: string | null
  /** As it says; the built-in policy has no other place for it. */
  readonly mode: string | null
  readonly partitions: number | null
  /** Why it refuses, or cannot be asked; null when nothing is wrong. */
  readonly problem: string | null
}

const UNKNOWN = { version: null, digest: null, mode: null, partitions: null } as const

/** Asks each; what cannot be asked is a standing, too. @throws SluiceError SLUICE_USAGE for what is no address. */
export function askScorers(
  addresses: readonly string[],
  active: Choice,
): Promise<readonly ScorerStatus[]> {
  return Promise.all(addresses.map((address) => askScorer(metricsUrl(address), active)))
}

async function askScorer(url: string, active: Choice): Promise<ScorerStatus> {
  try {
    return statusOn(url, await fetchMetricsPage(url, 'a running scorer'), active)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    const { problem } = error.details
    return { url, verdict: 'unreachable', ...UNKNOWN, problem: String(problem) }
  }
}

/** What a metrics page says. */
export function statusOn(url: string, page: string, active: Choice): ScorerStatus {
  const byRole = (name: string, role: string) =>
    seriesOf(page, name).filter(({ labels }) => labels['role'] === role)
  const [versions] = byRole('sluice_policy_version', 'active')
  const [info] = seriesOf(page, 'sluice_policy_info')
  if (versions === undefined || info === undefined) {
    return { url, verdict: 'no_scorer', ...UNKNOWN, problem: 'no scorer answers there' }
  }
  const [partitions] = seriesOf(page, 'sluice_partitions_assigned')
  const refused = byRole('sluice_policy_refused', 'active').find(({ value }) => value === 1)
  const digest = info.labels['policy_digest'] ?? null
  const isServed = active === null ? versions.value === 0 : digest === active
  return {
    url,
    verdict: isServed ? 'serves' : refused === undefined ? 'serves_another' : 'refuses',
    version: versions.value,
    digest,
    mode: info.labels['mode'] ?? null,
    partitions: partitions?.value ?? null,
    problem: refused === undefined || isServed ? null : (refused.labels['reason'] ?? 'unknown'),
  }
}
