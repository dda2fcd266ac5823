// State in normal form: what it says, whatever build of it says so and however it was cut into batches.

import { Redis } from 'ioredis'
import { ByteWriter } from '../../services/core/features/bytes.ts'
import { CardHistory } from '../../services/core/features/card-history.ts'
import { EntityPart } from '../../services/core/features/entity-part.ts'
import { decodeProgress } from '../../services/core/stream/lane-progress.ts'
import { laneKeys } from '../../services/platform/redis/keys.ts'
import type { OracleState } from './live-oracle.ts'
import { keysOf, PARTITION_COUNT } from './streams.ts'

const ALL = { nextOffset: Infinity, labelNextOffset: Infinity }

/** By lane and name, the values that count, all of it merged that may be. Outcomes are left out: the log has none. */
export async function normalStateIn(
  redisUrl: string,
  streamId: string,
): Promise<ReadonlyMap<string, string>> {
  const redis = new Redis(redisUrl)
  try {
    const keys = await keysOf(redis, streamId)
    const normal = new Map<string, string>()
    for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
      const lane = laneKeys(streamId, partition)
      const progress = decodeProgress(await redis.get(lane.progress))
      if (progress === null) continue
      const cardStart = lane.card(progress.generation, '')
      const terminalStart = lane.terminal(progress.generation, '')
      for (const key of keys) {
        if (key.startsWith(cardStart)) {
          const card = CardHistory.decode(await redis.getBuffer(key))
          put(normal, `${partition}/c/${key.slice(cardStart.length)}`, cardText(card))
        } else if (key.startsWith(terminalStart)) {
          const part = EntityPart.decode(await redis.getBuffer(key))
          put(normal, `${partition}/t/${key.slice(terminalStart.length)}`, partText(part))
        }
      }
    }
    return normal
  } finally {
    redis.disconnect()
  }
}

/** The same of lanes in memory, which must not be used afterwards. */
export function normalStateOf(lanes: readonly OracleState[]): ReadonlyMap<string, string> {
  const normal = new Map<string, string>()
  for (const [partition, { cards, terminals }] of lanes.entries()) {
    for (const [card, history] of cards) put(normal, `${partition}/c/${card}`, cardText(history))
    for (const [terminal, part] of terminals) {
      put(normal, `${partition}/t/${terminal}`, partText(part))
    }
  }
  return normal
}

function put(normal: Map<string, string>, name: string, text: string | null): void {
  if (text !== null) normal.set(name, text)
}

/** Null for a card without history, which is as good as none. */
function cardText(card: CardHistory): string | null {
  card.compact(ALL.nextOffset)
  for (const offset of card.offsets) card.setOutcome(offset, 0)
  if (card.eventCount === 0 && card.buckets.length === 0) return null
  return card.encode(new ByteWriter()).toString('base64')
}

function partText(part: EntityPart): string | null {
  part.compact(ALL)
  const { timesMs, labels, crowdedHours } = part
  if (timesMs.length === 0 && labels.length === 0 && crowdedHours.length === 0) return null
  return part.encode(new ByteWriter()).toString('base64')
}
