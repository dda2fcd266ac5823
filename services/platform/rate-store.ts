// Rate tables in files and in a content store. Entries of a store never change, so that any decision can be recomputed
// with the rates that it used.

import { readFileSync, statSync } from 'node:fs'
import { SluiceError } from '../core/errors.ts'
import { DEFAULT_RATES } from '../core/rates/default-rates.ts'
import { type RateTable, rateTableText } from '../core/rates/rate-table.ts'
import { RATES_LIMITS, ratesInvalid, readRates } from '../core/rates/rates-file.ts'
import type { ContentStore } from './stores/content-store.ts'

const FOLDER = 'rates'
/** Tables that a list reads. */
const LISTED_MAX = 1_000

/** The table of this file; null is the table of examples that ships. @throws SluiceError SLUICE_RATES_INVALID */
export function openRates(file: string | null): RateTable {
  return file === null ? DEFAULT_RATES : readRates(readRatesText(file), file)
}

/** The text of a file of rates. @throws SluiceError SLUICE_RATES_INVALID when it is too large or cannot be read */
export function readRatesText(file: string): string {
  try {
    const { size } = statSync(file)
    if (size <= RATES_LIMITS.bytesMax) return readFileSync(file, 'utf8')
    throw ratesInvalid(file, [
      { line: 1, message: `it has ${size} bytes, and at most ${RATES_LIMITS.bytesMax} are read` },
    ])
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw ratesInvalid(file, [
      { line: 1, message: `it cannot be read (${code}); give the path of a table` },
    ])
  }
}

/** Stores a table under its digest. @throws SluiceError as `ContentStore.put` */
export async function addRates(store: ContentStore, table: RateTable): Promise<void> {
  await store.put('rates', Buffer.from(rateTableText(table)))
}

/** The table of this digest. @throws SluiceError SLUICE_RATES_NOT_FOUND, SLUICE_RATES_INVALID or as `ContentStore.get` */
export async function findRates(store: ContentStore, digest: string): Promise<RateTable> {
  if (digest === DEFAULT_RATES.digest) return DEFAULT_RATES
  const bytes = await store.get('rates', digest)
  if (bytes === null) throw notFound(store.place, digest)
  return readRates(bytes.toString('utf8'), `${store.place}/${FOLDER}/${digest}`)
}

/** Digests of the tables of a store, newest first. */
export async function listRates(store: ContentStore): Promise<readonly string[]> {
  const found = (await store.list('rates')).toSorted((a, b) => b.atMs - a.atMs)
  return found.slice(0, LISTED_MAX).map(({ digest }) => digest)
}

/** The tables that decision batches may name. */
export class RatesByDigest {
  /** The newest table: it also converts what no decision has been made about. */
  readonly newest: RateTable
  readonly #tables: Map<string, RateTable>
  readonly #store: ContentStore | null

  /** Tables that are activated later are read from the store. */
  constructor(
    newest: RateTable,
    others: readonly RateTable[] = [],
    store: ContentStore | null = null,
  ) {
    this.newest = newest
    this.#store = store
    this.#tables = new Map([DEFAULT_RATES, ...others, newest].map((each) => [each.digest, each]))
  }

  /** Reads a table that is not known yet. @throws SluiceError as `findRates` */
  async learn(digest: string): Promise<void> {
    if (this.#tables.has(digest) || this.#store === null) return
    this.#tables.set(digest, await findRates(this.#store, digest))
  }

  /** @throws SluiceError SLUICE_RATES_NOT_FOUND */
  find(digest: string): RateTable {
    const found = this.#tables.get(digest)
    if (found === undefined) throw notFound('that was read', digest)
    return found
  }
}

function notFound(store: string, digest: string): SluiceError {
  return new SluiceError(
    'SLUICE_RATES_NOT_FOUND',
    `The store ${store} has no rate table ${digest}. Put the table there with "sluice rates activate <file>", name it in ` +
      'SLUICE_RATES, or correct SLUICE_POLICY_STORE or SLUICE_MODEL_STORE; "sluice rates list" shows what is there.',
    { details: { store, digest } },
  )
}
