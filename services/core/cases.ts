// The queue of an analyst: open alerts by expected loss, grouped into cases. Alerts of one card are one case as long as
// neighbours in event time are close enough. When enough cards have alerts at one terminal within a window, the
// terminal counts as compromised. All alerts there within that window are one case, together with the cases of those
// cards, since cards stolen at a terminal are used elsewhere. So a case is a connected set, every alert is in exactly
// one, and the grouping depends only on the set of open alerts, never on their order of arrival.

import assert from 'node:assert/strict'
import type { RateTable } from './rates/rate-table.ts'
import { expectedLossMinorOf, priorityOf } from './decision/decide.ts'
import type { Label } from './transaction.ts'
import { type Alert, type Disposition, type Finding, FINDINGS } from './wire/records.ts'

/** 1 is the most urgent. */
export const PRIORITIES = [1, 2, 3, 4, 5] as const
export type Priority = (typeof PRIORITIES)[number]

export interface CaseOptions {
  /** Largest gap between neighbours of one card's case, ms of event time. */
  readonly cardMs: number
  /** Window within which cards are counted at a terminal, ms of event time. */
  readonly terminalMs: number
  /** Number of different cards with alerts within the window that makes a terminal compromised. */
  readonly terminalCardsMin: number
}

/** An alert in the queue. */
export interface QueuedAlert {
  readonly alert: Alert
  /** Score times amount in the reference currency; null when the currency has no rate. */
  readonly expectedLossMinor: number | null
  readonly priority: Priority
}

/** Alerts that analysts review together. */
export interface Case {
  /** Id of its first alert in event time; it changes when that alert leaves the queue. */
  readonly caseId: string
  /** Highest priority of its alerts. */
  readonly priority: Priority
  /** Sum over the alerts; those without a known loss are left out. Null when none is known. */
  readonly expectedLossMinor: number | null
  readonly cards: readonly string[]
  /** Compromised terminals; empty for a case of one card. */
  readonly compromisedTerminals: readonly string[]
  readonly firstMs: number
  readonly lastMs: number
  /** In event-time order. */
  readonly alerts: readonly QueuedAlert[]
}

/**
 * Adds the expected loss and the priority of an alert, from the alert itself or computed. An alert without a known loss
 * is urgent.
 */
export function prioritised(alert: Alert, rates: RateTable): QueuedAlert {
  const expectedLossMinor = alert.expectedLossMinor ?? lossOf(alert, rates)
  const said = PRIORITIES.find((priority) => priority === alert.priority)
  return { alert, expectedLossMinor, priority: said ?? urgencyOf(expectedLossMinor) }
}

function lossOf(alert: Alert, rates: RateTable): number | null {
  const { amountMinor, currency, eventTimeMs, score } = alert
  const referenceMinor = rates.toReferenceMinor(amountMinor, currency, eventTimeMs)
  // An unscored payment does not count as score 0: its whole amount is at stake.
  return referenceMinor === null ? null : expectedLossMinorOf(score ?? 1, referenceMinor)
}

function urgencyOf(expectedLossMinor: number | null): Priority {
  const priority = priorityOf(expectedLossMinor)
  return PRIORITIES.find((each) => each === priority) ?? 1
}

/** Cases of these alerts, most urgent first. Each alert is in exactly one. */
export function groupCases(alerts: readonly QueuedAlert[], options: CaseOptions): readonly Case[] {
  const inTime = alerts.toSorted(byTime)
  const groups = new Groups(inTime.length)
  joinCards(inTime, options, groups)
  const compromised = joinTerminals(inTime, options, groups)
  const members = new Map<number, number[]>()
  for (const index of inTime.keys()) {
    const root = groups.rootOf(index)
    const known = members.get(root)
    if (known === undefined) members.set(root, [index])
    else known.push(index)
  }
  return [...members.values()]
    .map((indexes) => caseOf(indexes, inTime, compromised))
    .sort(byUrgency)
}

function joinCards(inTime: readonly QueuedAlert[], { cardMs }: CaseOptions, groups: Groups): void {
  const lastOfCard = new Map<string, number>()
  for (const [index, { alert }] of inTime.entries()) {
    const last = lastOfCard.get(alert.card)
    const before = last === undefined ? undefined : inTime[last]
    if (last !== undefined && before !== undefined && gapOf(before, alert) <= cardMs)
      groups.join(last, index)
    lastOfCard.set(alert.card, index)
  }
}

/** Joins the alerts at compromised terminals. Returns, by alert, the terminal that it shows to be compromised. */
function joinTerminals(
  inTime: readonly QueuedAlert[],
  { terminalMs, terminalCardsMin }: CaseOptions,
  groups: Groups,
): ReadonlyMap<number, string> {
  const compromised = new Map<number, string>()
  for (const [terminal, indexes] of byTerminal(inTime)) {
    const cards = new Map<string, number>()
    let first = 0
    let joinedTo = 0
    for (const [position, index] of indexes.entries()) {
      const latest = inTime[index]
      if (latest === undefined) continue
      count(cards, latest.alert.card, 1)
      for (;;) {
        const oldest = inTime[indexes[first] ?? index]
        if (oldest === undefined || gapOf(oldest, latest.alert) <= terminalMs) break
        count(cards, oldest.alert.card, -1)
        first += 1
      }
      if (cards.size < terminalCardsMin) continue
      // Overlapping windows are one case; alerts joined by an earlier window need no second pass.
      const before = joinedTo > first ? indexes[joinedTo - 1] : undefined
      if (before !== undefined) groups.join(before, index)
      for (const each of indexes.slice(Math.max(first, joinedTo), position + 1)) {
        groups.join(each, index)
        compromised.set(each, terminal)
      }
      joinedTo = position + 1
    }
  }
  return compromised
}

function byTerminal(inTime: readonly QueuedAlert[]): ReadonlyMap<string, number[]> {
  const terminals = new Map<string, number[]>()
  for (const [index, { alert }] of inTime.entries()) {
    if (alert.terminal === null) continue
    const indexes = terminals.get(alert.terminal)
    if (indexes === undefined) terminals.set(alert.terminal, [index])
    else indexes.push(index)
  }
  return terminals
}

function count(cards: Map<string, number>, card: string, added: 1 | -1): void {
  const now = (cards.get(card) ?? 0) + added
  if (now === 0) cards.delete(card)
  else cards.set(card, now)
}

function caseOf(
  indexes: readonly number[],
  inTime: readonly QueuedAlert[],
  compromised: ReadonlyMap<number, string>,
): Case {
  const alerts = indexes.flatMap((index) => inTime[index] ?? [])
  const terminals = indexes.flatMap((index) => compromised.get(index) ?? [])
  const [first, last] = [alerts[0]?.alert, alerts.at(-1)?.alert]
  assert(first !== undefined && last !== undefined, 'A case has an alert.')
  const losses = alerts.flatMap(({ expectedLossMinor }) => expectedLossMinor ?? [])
  return {
    caseId: first.alertId,
    priority: alerts.reduce<Priority>(
      (most, each) => (each.priority < most ? each.priority : most),
      5,
    ),
    expectedLossMinor: losses.length === 0 ? null : losses.reduce((sum, loss) => sum + loss, 0),
    cards: [...new Set(alerts.map(({ alert }) => alert.card))].toSorted(),
    compromisedTerminals: [...new Set(terminals)].toSorted(),
    firstMs: first.eventTimeMs,
    lastMs: last.eventTimeMs,
    alerts,
  }
}

function gapOf(earlier: QueuedAlert, later: Alert): number {
  return later.eventTimeMs - earlier.alert.eventTimeMs
}

function byTime(a: QueuedAlert, b: QueuedAlert): number {
  return a.alert.eventTimeMs - b.alert.eventTimeMs || compare(a.alert.alertId, b.alert.alertId)
}

function byUrgency(a: Case, b: Case): number {
  return (
    a.priority - b.priority ||
    compareLosses(b.expectedLossMinor, a.expectedLossMinor) ||
    compare(a.caseId, b.caseId)
  )
}

/** An unknown loss counts as the smallest. */
function compareLosses(a: number | null, b: number | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null)
  return a - b
}

function compare(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** Disjoint sets of indexes (union by the smaller root, with path halving). */
class Groups {
  readonly #parents: Int32Array

  constructor(size: number) {
    this.#parents = Int32Array.from({ length: size }, (_, index) => index)
  }

  rootOf(index: number): number {
    let at = index
    for (;;) {
      const parent = this.#parents[at] ?? at
      if (parent === at) return at
      const above = this.#parents[parent] ?? parent
      this.#parents[at] = above
      at = above
    }
  }

  join(a: number, b: number): void {
    const rootA = this.rootOf(a)
    const rootB = this.rootOf(b)
    if (rootA !== rootB) this.#parents[Math.max(rootA, rootB)] = Math.min(rootA, rootB)
  }
}

// Dispositions: the closed findings, the label of each, and the detection of repeated or conflicting requests.

/** Findings that a person may record. */
export type NamedFinding = Exclude<Finding, 'unknown'>
export const NAMED_FINDINGS = FINDINGS.filter(
  (finding): finding is NamedFinding => finding !== 'unknown',
)

/** The fields of a transaction that its label needs. */
export interface LabelSubject {
  readonly transactionId: string
  readonly card: string
  readonly eventTimeMs: number
  readonly merchant: string | null
  readonly terminal: string | null
  readonly device: string | null
  readonly ipNetwork: string | null
}

/** The label of a disposition; null for an inconclusive one. It is known from the time of the finding. */
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

/** Key of a disposition in its topic: a later disposition of the same source replaces the earlier one. */
export function dispositionKey({
  transactionId,
  source,
}: Pick<Disposition, 'transactionId' | 'source'>): string {
  return `${transactionId}/${source}`
}

/** Relation of a request to the recorded dispositions. `conflict`: its key was used for another finding. */
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

  /** Records the key of a request whose finding was already known. In memory only. */
  takeRepeated(disposition: Disposition): void {
    const { requestKey } = disposition
    if (requestKey === null || this.#byRequest.has(requestKey)) return
    keep(this.#byRequest, requestKey, disposition, this.#keptMax)
  }

  /** True when this very disposition is the newest, and not merely one with equal content. */
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

  /** Whether the disposition is new. The same finding by the same source is not, regardless of author and reason. */
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
