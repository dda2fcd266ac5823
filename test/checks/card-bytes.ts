// Bytes of stored cards after a history of files, for the 15 published features and for all: what docs/operations.md
// says. The order is that of the files, all committed, each transaction a batch of its own.
//
//   npm run node -- test/checks/card-bytes.ts <folder of files> [<last day>]

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { encodeCard, writeCardAddition } from '../../services/core/features/state/card-codec.ts'
import { FEATURES } from '../../services/core/features/catalogue/feature-list.ts'
import { compileFeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import type { PartitionState } from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../services/core/features/engine/partition-fold.ts'
import { createCodecs } from '../../services/core/wire/codecs.ts'
import { MessagePages } from '../../services/platform/redis/message-pages.ts'
import { ValueCache } from '../../services/platform/redis/value-cache.ts'
import { openSchemaRegistry } from '../../services/platform/registry/http-registry.ts'
import { openReplay } from '../../services/producer/index.ts'

/** The newest ones. */
const PAGES_WEIGHT_MAX = 10_000

/** Pages of messages, as in a partition. */
class KeptPages extends MessagePages {
  readonly #lengths = new Map<number, number>()

  constructor() {
    const kept = new ValueCache(PAGES_WEIGHT_MAX).open()
    super({ runs: [], newestEventMs: -1, kept })
  }

  /** Bytes of all stored values. */
  get bytes(): number {
    return [...this.#lengths.values()].reduce((sum, length) => sum + length, 0)
  }

  write(nextOffset: number, newestEventMs: number): void {
    const { changed, dropped } = this.takeWrite(newestEventMs)
    for (const page of changed) {
      this.#lengths.set(page.index, page.seal().length)
    }
    for (const index of dropped) this.#lengths.delete(index)
    this.begin(nextOffset)
  }
}

const PUBLISHED_COUNT = 16
const [folder = '', lastDay = '2018-07-31'] = process.argv.slice(2)

const codecs = createCodecs(
  await openSchemaRegistry({ url: null, topicPrefix: '', register: false }).load(),
)
const published = FEATURES.slice(0, PUBLISHED_COUNT).filter(({ name }) => name !== 'hour_of_day')
for (const [name, definitions] of [
  ['the 15 published features', published],
  ['all features', FEATURES],
] as const) {
  await measure(name, definitions)
}

async function measure(name: string, definitions: typeof FEATURES): Promise<void> {
  const plan = compileFeaturePlan(
    definitions.filter(({ entity }) => entity === 'transaction' || entity === 'card'),
  )
  const fold = new PartitionFold({ rates: DEFAULT_RATES, plan }, PARTITION_START)
  const cards = new Map<string, CardHistory>()
  const messages = new KeptPages()
  const state: PartitionState = {
    messages,
    card: (card) => {
      const history = cards.get(card) ?? new CardHistory()
      cards.set(card, history)
      return history
    },
    ownEntity: () => {
      throw new Error('No entity is read here.')
    },
    otherEntities: () => [],
    entityHorizonMs: -Infinity,
  }
  const width = plan.definitions.length
  const out = { row: new Float64Array(width), states: new Uint8Array(width), position: 0 }
  const writer = new ByteWriter()
  const stored = new Map<string, number>()
  const replay = await openReplay({
    paths: [folder],
    bounds: { fromMs: -Infinity, endMs: Date.parse(lastDay) + 86_400_000 },
  })
  let offset = 0
  for await (const event of replay) {
    if (event.kind !== 'transaction') continue
    const { transaction } = event
    const record = codecs.transaction.encode(transaction)
    fold.applyTransaction({ transaction, offset, record }, 0, state, out)
    offset += 1
    messages.write(offset, fold.position.newestEventMs)
    const history = cards.get(transaction.card)
    if (history === undefined) continue
    const added = writeCardAddition(history, writer, 0)
    if (added !== null) {
      stored.set(transaction.card, history.stored.bytes)
      continue
    }
    history.compact(offset)
    stored.set(transaction.card, encodeCard(history, writer).length)
    writer.recycle()
  }
  const bytes = [...stored.values()].sort((a, b) => a - b)
  const at = (share: number): number => bytes[Math.floor((bytes.length - 1) * share)] ?? 0
  const apart = Math.round(messages.bytes / bytes.length)
  process.stdout.write(
    `${name}: ${bytes.length} cards, median ${at(0.5)} bytes, p90 ${at(0.9)}, largest ${at(1)}; messages ${apart} a card\n`,
  )
}
