// Which values of the state a micro-batch needs.

import type { Taken } from './lane-inbox.ts'

export interface Touched {
  readonly cards: readonly string[]
  readonly terminals: readonly string[]
}

type Batch = Pick<Taken, 'entries' | 'labels'>

/** Cards and terminals that folding the batch changes or reads. */
export function touchedBy({ entries, labels }: Batch): Touched {
  const cards = new Set<string>()
  const terminals = new Set<string>()
  for (const entry of entries) {
    if (entry.kind === 'watermark') continue
    cards.add(entry.transaction.card)
    if (entry.transaction.terminal !== null) terminals.add(entry.transaction.terminal)
  }
  for (const entry of labels) {
    if (entry.kind === 'label' && entry.label.terminal !== null) terminals.add(entry.label.terminal)
  }
  return { cards: [...cards], terminals: [...terminals] }
}

/** `touchedBy`, and the cards of labels as well: what was decided for them is looked up. */
export function readFor(batch: Batch): Touched {
  const { cards, terminals } = touchedBy(batch)
  if (batch.labels.length === 0) return { cards, terminals }
  const all = new Set(cards)
  for (const entry of batch.labels) if (entry.kind === 'label') all.add(entry.label.card)
  return { cards: [...all], terminals }
}
