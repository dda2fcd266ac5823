// What people find about transactions: closed findings, the label that each becomes, and which requests say nothing new.

import type { Label } from './transaction.ts'
import { FINDINGS, type Disposition, type Finding } from './wire/records.ts'

/** What a person may say. */
export type NamedFinding = Exclude<Finding, 'unknown'>
export const NAMED_FINDINGS = FINDINGS.filter(
  (finding): finding is NamedFinding => finding !== 'unknown',
)

/** The transaction that a finding is about, as far as its label needs it. */
export interface LabelSubject {
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly merchant: string | null
  readonly terminal: string | null
  readonly device: string | null
  readonly ipNetwork: string | null
}

/** The label that a disposition becomes; null for one that found nothing out. It counts from when it was found. */
export function labelOf(
  { finding, source, atMs }: Disposition,
  subject: LabelSubject,
): Label | null {
  switch (finding) {
    case 'confirmed_fraud':
      return { ...subject, knownAtMs: atMs, verdict: 'fraud', source }
    case 'genuine':
      return { ...subject, knownAtMs: atMs, verdict: 'genuine', source }
    case 'inconclusive':
    case 'unknown':
      return null
  }
}

/** Key of a disposition in its topic: of the same source, a later word replaces the earlier one. */
export function dispositionKey({
  transactionId,
  source,
}: Pick<Disposition, 'transactionId' | 'source'>): string {
  return `${transactionId}/${source}`
}

/** What a request says beside what is known. `conflict`: its key was used for something else. */
export type Novelty = 'new' | 'repeated' | 'conflict'

/** The newest disposition of each transaction and source. Bounded: the oldest are forgotten first. */
export class Dispositions {
  readonly #keptMax: number
  readonly #byKey = new Map<string, Disposition>()
  readonly #byRequest = new Map<string, Disposition>()

  constructor(keptMax: number) {
    this.#keptMax = keptMax
  }

  take(disposition: Disposition): void {
    const { requestKey } = disposition
    keep(this.#byKey, dispositionKey(disposition), disposition, this.#keptMax)
    if (requestKey !== null) keep(this.#byRequest, requestKey, disposition, this.#keptMax)
  }

  /** A request that said nothing new: its key stands for what it said all the same. In memory alone. */
  takeRepeated(disposition: Disposition): void {
    const { requestKey } = disposition
    if (requestKey === null || this.#byRequest.has(requestKey)) return
    keep(this.#byRequest, requestKey, disposition, this.#keptMax)
  }

  /** True when this very word is the newest, and not one that says the same. */
  holds(disposition: Disposition): boolean {
    const known = this.#byKey.get(dispositionKey(disposition))
    return (
      known !== undefined &&
      isSame(known, disposition) &&
      known.atMs === disposition.atMs &&
      known.author === disposition.author &&
      known.reason === disposition.reason
    )
  }

  /** Whether this is news. The same finding by the same source is none, whoever says it and why. */
  noveltyOf(disposition: Disposition): Novelty {
    const { requestKey } = disposition
    const sameRequest = requestKey === null ? undefined : this.#byRequest.get(requestKey)
    if (sameRequest !== undefined) return isSame(sameRequest, disposition) ? 'repeated' : 'conflict'
    const known = this.#byKey.get(dispositionKey(disposition))
    return known !== undefined && isSame(known, disposition) ? 'repeated' : 'new'
  }
}

function isSame(a: Disposition, b: Disposition): boolean {
  return a.transactionId === b.transactionId && a.source === b.source && a.finding === b.finding
}

function keep<Value>(map: Map<string, Value>, key: string, value: Value, max: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= max) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
