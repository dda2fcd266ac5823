// Bytes of stored cards after a history of files, for the 15 published features and for all: what docs/operations.md
// says. The order is that of the files, all committed.
//
//   node --import tsx test/checks/card-bytes.ts <folder of files> [<last day>]

import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { ByteWriter } from '../../services/core/features/bytes.ts'
import { CardHistory } from '../../services/core/features/card-history.ts'
import { encodeCard } from '../../services/core/features/card-layouts.ts'
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
  for (const layout of [2, 3] as const) await measure(name, definitions, layout)
}

async function measure(name: string, definitions: typeof FEATURES, layout: 2 | 3): Promise<void> {
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
    cards.get(transaction.card)?.compact(offset)
  }
  const writer = new ByteWriter()
  const bytes = [...cards.values()].map((history) => encodeCard(history, layout, writer).length)
  bytes.sort((a, b) => a - b)
  const at = (share: number): number => bytes[Math.floor((bytes.length - 1) * share)] ?? 0
  process.stdout.write(
    `${name}, layout ${layout}: ${bytes.length} cards, median ${at(0.5)} bytes, p90 ${at(0.9)}, largest ${at(1)}\n`,
  )
}
