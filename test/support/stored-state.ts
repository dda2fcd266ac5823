// State in normal form: its content, independent of the build that wrote it and of the split into batches.

import { Redis } from 'ioredis'
import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import { COLUMN, OUTCOME_SHIFT } from '../../services/core/features/state/card-columns.ts'
import { type CardHistory } from '../../services/core/features/state/card-history.ts'
import { decodeCard, encodeCard } from '../../services/core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../services/core/features/state/entity-codec.ts'
import type { EntityPart } from '../../services/core/features/state/entity-part.ts'
import { decodeProgress } from '../../services/core/stream/partition-progress.ts'
import { entityName, partitionKeys } from '../../services/platform/redis/keys.ts'
import type { OracleState } from './live-oracle.ts'
import { keysOf, PARTITION_COUNT } from './streams.ts'

/**
 * By partition and name, the values that count, merged as far as possible. Outcomes are left out, since the logs of the
 * oracle have none.
 */
export async function normalStateIn(
  redisUrl: string,
  streamId: string,
): Promise<ReadonlyMap<string, string>> {
  const redis = new Redis(redisUrl)
  try {
    const names = await keysOf(redis, streamId)
    const normal = new Map<string, string>()
    for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
      const keys = partitionKeys(streamId, partition)
      const progress = decodeProgress(await redis.get(keys.progress))
      if (progress === null) continue
      const cardStart = keys.card(progress.generation, '')
      const entityStart = keys.entities(progress.generation)
      for (const key of names) {
        if (key.startsWith(cardStart)) {
          const card = decodeCard(await redis.getBuffer(key))
          put(normal, `${partition}/c/${key.slice(cardStart.length)}`, cardText(card))
        } else if (key.startsWith(entityStart)) {
          const part = decodeEntityPart(await redis.getBuffer(key))
          put(normal, `${partition}/e/${key.slice(entityStart.length)}`, partText(part))
        }
      }
    }
    return normal
  } finally {
    redis.disconnect()
  }
}

/** The same of partitions in memory, which must not be used afterwards. */
export function normalStateOf(partitions: readonly OracleState[]): ReadonlyMap<string, string> {
  const normal = new Map<string, string>()
  for (const [partition, { cards, entities }] of partitions.entries()) {
    for (const [card, history] of cards) put(normal, `${partition}/c/${card}`, cardText(history))
    for (const [entity, part] of entities) {
      put(normal, `${partition}/e/${entityName(entity)}`, partText(part))
    }
  }
  return normal
}

function put(normal: Map<string, string>, name: string, text: string | null): void {
  if (text !== null) normal.set(name, text)
}

/** Null for a card without history, which equals an absent one. */
function cardText(card: CardHistory): string | null {
  card.normalise()
  for (let index = 0; index < card.count; index += 1) {
    const at = index * card.stride + COLUMN.flags
    card.data[at] = (card.data[at] ?? 0) & ~(3 << OUTCOME_SHIFT)
  }
  if (card.count === 0 && card.buckets.length === 0) return null
  return encodeCard(card, new ByteWriter()).toString('base64')
}

function partText(part: EntityPart): string | null {
  part.normalise()
  const { count, labels, hourlyBuckets } = part
  if (count === 0 && labels.length === 0 && hourlyBuckets.length === 0) return null
  return encodeEntityPart(part, new ByteWriter()).toString('base64')
}
