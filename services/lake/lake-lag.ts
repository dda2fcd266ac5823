// How far the topics are ahead of the lake: what no commit covers counts as waiting, also what is in memory already.

import { placeOf } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import type { PlaceLag } from '../platform/metrics/lake-telemetry.ts'
import type { TakenRange } from './intake.ts'

/** Where the taking of one partition stands. */
export interface PlaceStanding {
  readonly table: TopicTable
  readonly partition: number
  /** First offset that is not safe in the lake. Ends of Kafka transactions are no messages and wait for nothing. */
  readonly next: number
  /** When the oldest message that was taken and is not committed was sent; null when there is none. */
  readonly oldestTakenMs: number | null
}

/** Standing of every partition; `pending` are ranges that no commit covers, older ones first. */
export function standingsOf(
  positions: ReadonlyMap<string, number>,
  pending: readonly TakenRange[],
): readonly PlaceStanding[] {
  const oldest = new Map<string, TakenRange>()
  for (const range of pending) {
    const place = placeOf(range.table, range.partition)
    if (range.oldestMs !== null && !oldest.has(place)) oldest.set(place, range)
  }
  return [...positions].flatMap(([place, position]) => {
    const [name, partition] = place.split('/')
    const table = TOPIC_TABLES.find((each) => each === name)
    if (table === undefined) return []
    const range = oldest.get(place)
    const next = range?.first ?? position
    return [{ table, partition: Number(partition), next, oldestTakenMs: range?.oldestMs ?? null }]
  })
}

/** Remembers since when messages are waiting that were not read yet, whose times nobody knows. */
export class LakeLag {
  readonly #waitingSince = new Map<string, { readonly next: number; readonly sinceMs: number }>()

  /** `ends` by table and partition; what it lacks is taken to wait for nothing more. */
  read(
    standings: readonly PlaceStanding[],
    ends: ReadonlyMap<string, number>,
    nowMs: number,
  ): readonly PlaceLag[] {
    return standings.map(({ table, partition, next, oldestTakenMs }) => {
      const place = placeOf(table, partition)
      const messages = Math.max(0, (ends.get(place) ?? next) - next)
      const known = this.#waitingSince.get(place)
      if (messages === 0) this.#waitingSince.delete(place)
      // Since it went on, what waits is younger than it was seen to be.
      else if (known?.next !== next) this.#waitingSince.set(place, { next, sinceMs: nowMs })
      const sinceMs = oldestTakenMs ?? this.#waitingSince.get(place)?.sinceMs ?? nowMs
      const isWaiting = messages > 0 || oldestTakenMs !== null
      return { table, partition, messages, ageMs: isWaiting ? Math.max(0, nowMs - sinceMs) : 0 }
    })
  }
}
