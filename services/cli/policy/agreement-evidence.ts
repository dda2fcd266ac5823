// How far a cascade agrees with its large net: as running scorers measure it on payments that the large net need not have
// seen, else as the model that decided states it.

import { isSluiceError } from '../../core/errors.ts'
import type { Evidence, FoundAgreement } from '../../core/policy/promotion-gates.ts'
import { checkModel, findModel } from '../../platform/model-store.ts'
import { fetchMetricsPage, metricsUrl, seriesOf } from '../metrics-page.ts'
import { statusOn } from './status/scorer-status.ts'

/** Fewer payments say less than the model does. */
export const LIVE_PAYMENTS_MIN = 1_000

export interface AgreementSource {
  readonly store: string
  /** Folder of the model that scorers are configured with. */
  readonly configuredModel: string
  /** Addresses of metrics pages of scorers. */
  readonly scorers: readonly string[]
  /** Digest of the ruleset in force: pages of other streams say nothing. */
  readonly active: string
  /** Of the newest decision; null for none. */
  readonly modelDigest: string | null
}

export async function agreementEvidence(
  source: AgreementSource,
): Promise<Evidence<FoundAgreement>> {
  const { store, configuredModel, modelDigest } = source
  const live = await liveAgreement(source)
  const cases = live.same + live.different
  if (cases >= LIVE_PAYMENTS_MIN) {
    const { same, different } = live
    return {
      found: { kind: 'live', same, different },
      source: `metrics of ${live.places.join(', ')}`,
    }
  }
  if (modelDigest === null) return { found: null, why: 'no decision of this policy was found' }
  const atLeast = await statedAgreement(modelDigest, store, configuredModel)
  const why = `the model that decides, ${modelDigest.slice(0, 12)}, is not in the store ${store}`
  if (atLeast === null) return { found: null, why }
  const few = cases === 0 ? '' : `; scorers have measured ${cases} payments, too few`
  return { found: { kind: 'stated', atLeast }, source: `stated in the model's manifest${few}` }
}

async function liveAgreement({ scorers, active }: AgreementSource) {
  const places: string[] = []
  let [same, different] = [0, 0]
  for (const address of scorers) {
    const url = metricsUrl(address)
    const page = await fetchMetricsPage(url, 'a running scorer').catch(() => null)
    if (page === null || statusOn(url, page, active).verdict !== 'serves') continue
    // Counts go back to the start of the process: after a switch they are of more models than the one that decides.
    const switches = seriesOf(page, 'sluice_model_switches_total')
    if (switches.some(({ labels, value }) => labels['role'] === 'active' && value > 0)) continue
    places.push(new URL(url).host)
    for (const { labels, value } of seriesOf(page, 'sluice_cascade_sample_total')) {
      if (labels['outcome'] === 'same') same += value
      else different += value
    }
  }
  return { same, different, places }
}

/** As the model that decided states it; null when it cannot be read. */
async function statedAgreement(
  digest: string,
  store: string,
  configuredModel: string,
): Promise<number | null> {
  const readers = [() => findModel(store, digest), () => checkModel(configuredModel)]
  for (const read of readers) {
    const model = await read().catch((error: unknown) => {
      if (isSluiceError(error)) return null
      throw error
    })
    if (model?.digest !== digest) continue
    const { target } = model.manifest
    return target === null ? 1 : target.agreement.overallAtLeast
  }
  return null
}
