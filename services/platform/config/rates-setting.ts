// The configured table of exchange rates.

import { isSluiceError } from '../../core/errors.ts'
import { DEFAULT_RATES } from '../../core/rates/default-rates.ts'
import type { RateTable } from '../../core/rates/rate-table.ts'
import { findRates, listRates, openRates, RatesByDigest } from '../rate-store.ts'
import type { ContentStore } from '../stores/content-store.ts'
import { EnvReader } from './env-reader.ts'

/** The table of SLUICE_RATES. Its faults become a fault of the configuration, with their lines. */
export function readConfiguredRates(read: EnvReader): RateTable {
  try {
    return openRates(read.value('SLUICE_RATES'))
  } catch (error) {
    if (!isSluiceError(error)) throw error
    read.check(false, `SLUICE_RATES: ${error.message}`)
    return DEFAULT_RATES
  }
}

/**
 * The tables that decision batches may name: those of the store, and the configured one. A table that cannot be read is left
 * out. @throws SluiceError SLUICE_CONFIG_INVALID or as `ContentStore.list`
 */
export async function recordedRates(store: ContentStore): Promise<RatesByDigest> {
  const tables: RateTable[] = []
  for (const digest of await listRates(store)) {
    const table = await findRates(store, digest).catch((error: unknown) => {
      if (isSluiceError(error, 'SLUICE_RATES_INVALID')) return null
      throw error
    })
    if (table !== null) tables.push(table)
  }
  return new RatesByDigest(configuredRates(), tables, store)
}

let used: RateTable | null = null

/** The configured table of this process, read once. @throws SluiceError SLUICE_CONFIG_INVALID */
export function configuredRates(): RateTable {
  if (used !== null) return used
  const read = new EnvReader(process.env)
  const rates = readConfiguredRates(read)
  read.throwIfInvalid()
  used = rates
  return rates
}
