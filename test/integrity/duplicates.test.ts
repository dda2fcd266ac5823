// Goal: a duplicate gets the first decision whatever Redis has lost in between: decisions are stored in the decisions
// topic, and a rebuilt state reads them from there. Method: a live scorer whose Redis is emptied; then transactions are
// repeated whose outcome differs from that of an unknown one. The control removes the decision batches.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import type { DecisionRecord, Outcome } from '../../services/core/wire/records.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import {
  decisionsOf,
  degradedOf,
  saveDatabase,
  startLive,
  takeBack,
  type LiveRun,
} from '../support/live-loss.ts'
import { DEGRADED } from '../support/live-oracle.ts'

/** Duplicates of each outcome and kind: enough to reach all partitions. */
const DUPLICATES_MAX = 40

/** The outcome of unscored payments, and so of a duplicate whose first decision is unknown. */
const unknownIs = (outcome: Outcome) => ({ SLUICE_UNSCORED_OUTCOME: outcome })

interface Repeated {
  readonly event: Extract<ProducedEvent, { kind: 'transaction' }>
  readonly first: DecisionRecord
}

/**
 * Transactions with these outcomes that still are duplicates when sent again: the newest of each outcome, in each part,
 * with state and without. How many were decided without state depends on the machine, and must not determine which
 * others are tested.
 */
function repeatable(run: LiveRun, outcomes: readonly Outcome[]): readonly Repeated[] {
  const first = new Map(
    decisionsOf(run)
      .filter(({ revision, duplicateOfOffset }) => revision === 0 && duplicateOfOffset === null)
      .map((decision) => [decision.transactionId, decision]),
  )
  const newestMs = new Map<string, number>()
  const transactions = run.sent.filter((event) => event.kind === 'transaction')
  for (const { card, eventTimeMs } of transactions.map(({ transaction }) => transaction)) {
    newestMs.set(card, Math.max(newestMs.get(card) ?? 0, eventTimeMs))
  }
  const all = transactions.flatMap((event) => {
    const { id, card, eventTimeMs } = event.transaction
    const decision = first.get(id)
    if (decision === undefined || eventTimeMs < (newestMs.get(card) ?? 0) - LATENESS_MS) return []
    return [{ event, first: decision }]
  })
  const kinds = run.parts.flatMap((part) =>
    [true, false].map((isDegraded) => ({ part: new Set(part), isDegraded })),
  )
  return outcomes.flatMap((outcome) =>
    kinds.flatMap(({ part, isDegraded }) =>
      all
        .filter(({ event, first }) => first.outcome === outcome && part.has(event))
        .filter(({ first: { annotations } }) => annotations.includes(DEGRADED) === isDegraded)
        .slice(-DUPLICATES_MAX),
    ),
  )
}

/** Decides them again. Returns the first and the second decision of each. */
async function repeat(run: LiveRun, repeated: readonly Repeated[]) {
  const before = decisionsOf(run).length
  await run.decide(repeated.map(({ event }) => event))
  const again = new Map(
    decisionsOf(run)
      .slice(before)
      .map((decision) => [decision.transactionId, decision]),
  )
  return repeated.map(({ event, first }) => {
    const { id } = event.transaction
    const { duplicateOfOffset, outcome, annotations } = again.get(id) ?? {}
    const were = { id, duplicateOfOffset: first.offset, outcome: first.outcome }
    const are = { id, duplicateOfOffset, outcome }
    return { were, are, annotations }
  })
}

function assertFirstDecisions(decided: Awaited<ReturnType<typeof repeat>>): void {
  deepStrictEqual(
    decided.map(({ are }) => are),
    decided.map(({ were }) => were),
  )
}

test('a duplicate gets the first decision after Redis is emptied', async (t) => {
  const run = await startLive(t, 'duplicates', unknownIs('approve'))
  const first = new Set(run.sent)
  await run.redis.flushdb()
  await run.decide(run.parts[1])
  await run.restored()
  for (const outcome of ['flag', 'block'] as const) {
    const repeated = repeatable(run, [outcome])
    ok(
      repeated.some(({ event }) => first.has(event)),
      'one of before the loss',
    )
    assertFirstDecisions(await repeat(run, repeated))
  }
  await run.outputs.readToEnd()
  strictEqual(await run.scorer.end('SIGTERM'), 0)
  deepStrictEqual((await audit(run.stream, run.outputs)).slice(0, 20), [])
})

test('a duplicate gets the first decision after Redis loses the latest ones', async (t) => {
  const run = await startLive(t, 'duplicates-behind', unknownIs('flag'))
  const saved = await saveDatabase(run.redis)
  await run.decide(run.parts[1])
  strictEqual(degradedOf(run).length, 0)
  await takeBack(run.redis, saved)
  await run.decide(run.parts[2])
  await run.restored()
  const degraded = new Set(degradedOf(run).map(({ transactionId }) => transactionId))
  const repeated = repeatable(run, ['approve', 'block'])
  ok(
    repeated.some(({ first }) => degraded.has(first.transactionId)),
    'one decided without state',
  )
  ok(
    repeated.some(({ event }) => run.parts[1].includes(event)),
    'one whose state was forgotten',
  )
  assertFirstDecisions(await repeat(run, repeated))
  strictEqual(await run.scorer.end('SIGTERM'), 0)
})

test('without decision batches the same run loses first decisions, and everything else continues', async (t) => {
  const run = await startLive(t, 'duplicates-unknown', unknownIs('approve'))
  const repeated = repeatable(run, ['flag', 'block'])
  const topic = topicName(run.stream.prefix, 'decisions')
  const ends = await run.stream.admin.fetchTopicOffsets(topic)
  await run.stream.admin.deleteTopicRecords({
    topic,
    partitions: ends.map(({ partition, high }) => ({ partition, offset: high })),
  })
  await run.redis.flushdb()
  await run.decide(run.parts[1].slice(0, 400))
  await run.restored()
  const decided = await repeat(run, repeated)
  ok(decided.length > 0)
  for (const { were, are, annotations } of decided) {
    if (annotations?.includes('duplicate') !== true) continue
    strictEqual(are.duplicateOfOffset, were.duplicateOfOffset)
    strictEqual(are.outcome, 'approve', 'it is not known, so it is what has no score')
  }
  ok(decided.some(({ annotations }) => annotations?.includes('duplicate')))
  strictEqual(await run.scorer.end('SIGTERM'), 0)
})
