// Bytes of stored cards after a history of files, for the 15 published features and for all: what docs/operations.md
// says. The order is that of the files, all committed, each transaction a batch of its own.
//
//   node --import tsx test/checks/card-bytes.ts <folder of files> [<last day>]

import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { ByteWriter } from '../../services/core/features/bytes.ts'
import { CardHistory } from '../../services/core/features/card-history.ts'
import {
  CARD_LAYOUTS,
  encodeCard,
  writeCardAddition,
  type CardLayout,
} from '../../services/core/features/card-layouts.ts'
import { FEATURES } from '../../services/core/features/feature-list.ts'
import { compileFeaturePlan } from '../../services/core/features/feature-plan.ts'
import type { LaneState } from '../../services/core/features/fold-state.ts'
import { LANE_START, LaneFold } from '../../services/core/features/lane-fold.ts'
import { createCodecs } from '../../services/core/wire/codecs.ts'
import { openSchemaRegistry } from '../../services/platform/registry/open-registry.ts'
import { openReplay } from '../../services/producer/index.ts'

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
  for (const layout of CARD_LAYOUTS) await measure(name, definitions, layout)
}

async function measure(
  name: string,
  definitions: typeof FEATURES,
  layout: CardLayout,
): Promise<void> {
  const plan = compileFeaturePlan(
    definitions.filter(({ entity }) => entity === 'transaction' || entity === 'card'),
  )
  const fold = new LaneFold({ rates: DEFAULT_RATES, plan }, LANE_START)
  const cards = new Map<string, CardHistory>()
  const state: LaneState = {
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
  const row = new Float64Array(plan.definitions.length)
  const states = new Uint8Array(row.length)
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
    fold.applyTransaction(transaction, offset, 0, state, row, 0, states, record)
    offset += 1
    const history = cards.get(transaction.card)
    if (history === undefined) continue
    const added = writeCardAddition(history, layout, writer, 0)
    if (added !== null) {
      stored.set(transaction.card, history.stored.bytes)
      continue
    }
    history.compact(offset)
    stored.set(transaction.card, encodeCard(history, layout, writer).length)
    writer.recycle()
  }
  const bytes = [...stored.values()].sort((a, b) => a - b)
  const at = (share: number): number => bytes[Math.floor((bytes.length - 1) * share)] ?? 0
  process.stdout.write(
    `${name}, layout ${layout}: ${bytes.length} cards, median ${at(0.5)} bytes, p90 ${at(0.9)}, largest ${at(1)}\n`,
  )
}
