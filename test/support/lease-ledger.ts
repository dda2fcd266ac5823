// An auditor's ledger of blocks. It reads published alerts in order, card by card, and reports every breach of the
// contract of leases (docs/leases.md). It knows the contract, and nothing of the partition's implementation. It expects
// no late transactions.

import { deepStrictEqual } from 'node:assert/strict'
import type { Alert, Lease } from '../../services/core/wire/records.ts'
import { audit } from './audit.ts'
import type { Outputs } from './outputs.ts'
import type { TestStream } from './streams.ts'

type Held = Pick<Lease, 'alertId' | 'revision' | 'grade' | 'endMs'>

export interface Book {
  /** Every breach, as text; empty when there is none. */
  readonly faults: readonly string[]
  /** Cards that are blocked at the end. */
  readonly held: ReadonlyMap<string, Held>
}

/** Reads alerts in publishing order. */
export function bookOf(alerts: readonly Alert[]): Book {
  const clerk = new Clerk()
  for (const alert of alerts) clerk.enter(alert)
  return clerk.close()
}

/** Differences between active leases in the compacted topic and in the alerts; empty when they are equal. */
function tableFaults({ held }: Book, leases: ReadonlyMap<string, Held>): readonly string[] {
  const cards = new Set([...held.keys(), ...leases.keys()])
  return [...cards].flatMap((card) => {
    const [said, kept] = [textOf(held.get(card)), textOf(leases.get(card))]
    return said === kept ? [] : [`${card} is ${said} by the alerts, ${kept} by the topic`]
  })
}

/** At the end: nothing breaks the contract, no card is blocked, and topics, alerts and leases agree. */
export async function assertSettled(stream: TestStream, outputs: Outputs): Promise<void> {
  const book = bookOf(outputs.alerts)
  deepStrictEqual(book.faults.slice(0, 5), [])
  deepStrictEqual(tableFaults(book, outputs.liveLeases), [])
  deepStrictEqual([...book.held], [])
  deepStrictEqual((await audit(stream, outputs)).slice(0, 5), [])
}

class Clerk {
  readonly #faults: string[] = []
  readonly #seen = new Set<string>()
  readonly #held = new Map<string, Held>()
  /** Cards whose latest alert blocks with a lease of another one: an extension must follow, up to this time. */
  readonly #owed = new Map<string, number>()

  enter(alert: Alert): void {
    const { alertId, revision, card, cause, action, lease } = alert
    const name = `${alertId}.${revision}`
    if (this.#seen.has(name)) this.#fault(alert, 'has been published before')
    this.#seen.add(name)
    const held = this.#held.get(card)
    const owedMs = this.#owed.get(card)
    this.#owed.delete(card)
    if (owedMs !== undefined && (cause !== 'extended' || (lease?.endMs ?? 0) < owedMs)) {
      this.#fault(alert, 'comes where the lease should have been extended')
    }
    if (cause === null && action === 'flag') return
    if (cause === null) this.#block(alert, held)
    else if (cause === 'late_transaction') this.#fault(alert, 'is of a late transaction')
    else this.#change(alert, held)
  }

  close(): Book {
    for (const card of this.#owed.keys()) this.#faults.push(`${card} was never extended`)
    return { faults: this.#faults, held: this.#held }
  }

  #block(alert: Alert, held: Held | undefined): void {
    const { alertId, revision, card, lease } = alert
    if (revision !== 0 || lease === null) {
      this.#fault(alert, 'is no first block')
    } else if (held === undefined) {
      this.#held.set(card, { alertId, revision, grade: lease.grade, endMs: lease.endMs })
    } else if (lease.endMs > held.endMs) {
      this.#owed.set(card, lease.endMs)
    }
  }

  /** A later revision of the lease: only the alert that holds the card has one, and it follows the previous one. */
  #change(alert: Alert, held: Held | undefined): void {
    const { alertId, revision, card, supersedes, lease } = alert
    if (held?.alertId !== alertId) {
      this.#fault(alert, `changes a lease that is not held`)
      return
    }
    if (supersedes !== held.revision) this.#fault(alert, `does not follow ${held.revision}`)
    if (alert.action === 'release') {
      this.#held.delete(card)
      return
    }
    if (lease === null || lease.endMs < held.endMs) {
      this.#fault(alert, 'shortens the lease')
      return
    }
    this.#held.set(card, { alertId, revision, grade: lease.grade, endMs: lease.endMs })
  }

  #fault({ action, cause, alertId, revision, card }: Alert, text: string): void {
    this.#faults.push(`${action} (${cause ?? 'first'}) ${alertId}.${revision} of ${card} ${text}`)
  }
}

function textOf(held: Held | undefined): string {
  if (held === undefined) return 'free'
  const { alertId, revision, grade, endMs } = held
  return `held by ${alertId}.${revision}, ${grade} to ${endMs}`
}
