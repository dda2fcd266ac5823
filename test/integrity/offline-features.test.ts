// Goal: offline features of a whole stream equal those that the scorer used, bit for bit, through real Kafka and Redis
// and in any interleaving; a value that differs from the log shows in the meter and in the explanation of a decision.
// Method: scorers decide a stream live and aligned, are killed in the middle, and have values in Redis changed (with
// valid checksums); a replay of the topics is compared with every row.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import { decodeCard, encodeCard } from '../../services/core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../services/core/features/state/entity-codec.ts'
import { ENTITY_COLUMN } from '../../services/core/features/state/entity-event.ts'
import { EntityPart } from '../../services/core/features/state/entity-part.ts'
import { entityKeyOf } from '../../services/core/features/catalogue/feature-definition.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../services/core/features/catalogue/feature-list.ts'
import { recordedBatchOf } from '../../services/core/features/provenance/replay-records.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import { decodeProgress } from '../../services/core/stream/partition-progress.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { entityName, partitionKeys } from '../../services/platform/redis/keys.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { metricOf } from '../support/acting.ts'
import { startCli } from '../support/cli-process.ts'
import { withLate } from '../support/late-events.ts'
import { startLive, type LiveRun } from '../support/live-loss.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { replayToEnd, type Replayed } from '../support/replayed.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, PARTITION_COUNT, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'

/** Every batch reads all of its values, so that a change in Redis is noticed at once. */
const NOTHING_KEPT = { SLUICE_STATE_CACHE_MIB: '0' }
/** Decisions that the log cannot reproduce. */
const NOT_IN_THE_LOG = ['degraded', 'expired', 'behind_reach']

function assertEqual(replayed: Replayed, decisions: number): void {
  deepStrictEqual(replayed.mismatches, {})
  strictEqual(replayed.decisions, decisions)
  strictEqual(replayed.waitingBatches, 0)
  const reasons = new Set(Object.keys(replayed.notCompared))
  for (const reason of NOT_IN_THE_LOG) reasons.delete(reason)
  deepStrictEqual([...reasons], [])
  // At most a third of the stream is decided without state.
  ok(replayed.compared > 0.6 * decisions * FEATURE_COUNT, JSON.stringify(replayed))
}

function decisionCount({ outputs }: Pick<LiveRun, 'outputs'>): number {
  return outputs.decisionBatches.reduce((sum, { batch }) => sum + batch.decisions.length, 0)
}

function transactionsOf(events: readonly ProducedEvent[]): readonly Transaction[] {
  return events.flatMap((event) => (event.kind === 'transaction' ? [event.transaction] : []))
}

test('every row of a live stream is recomputed bit for bit from the log and the recorded frontiers', async (t) => {
  const run = await startLive(t, 'offline-live')
  await run.decide(run.parts[1])
  await run.decide(run.parts[2])
  await run.outputs.readToEnd()
  const replayed = await replayToEnd(run.stream)
  t.diagnostic(JSON.stringify(replayed))
  assertEqual(replayed, decisionCount(run))
  const sampled = await replayToEnd(run.stream, 0.2)
  deepStrictEqual(sampled.mismatches, {})
  strictEqual(sampled.waitingBatches, 0)
  ok(sampled.compared > 0)
})

test('rows are recomputed after scorers are killed in the middle of their batches', async (t) => {
  const stream = await openStream(t, 'offline-kills')
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(2_400))
  const environment = stream.environment({ SLUICE_BATCH_SIZE_MAX: '16' })
  for (const count of [5, 20, 40]) {
    const scorer = await startScorer(t, { ...environment, ...SHORT_SESSION })
    await outputs.until('some decision batches', () => outputs.decisionBatches.length >= count)
    await scorer.end('SIGKILL')
  }
  await startScorer(t, environment)
  await outputs.readToEnd()
  const replayed = await replayToEnd(stream)
  t.diagnostic(JSON.stringify(replayed))
  assertEqual(replayed, decisionCount({ outputs }))
})

test('rows of late transactions are recomputed with the revisions that they cause', async (t) => {
  const stream = await openStream(t, 'offline-late')
  const outputs = followOutputs(t, stream)
  await stream.send(withLate(await simulatedEvents(4_000, { cards: 60 })))
  await startScorer(t, stream.environment())
  await outputs.readToEnd()
  const replayed = await replayToEnd(stream)
  t.diagnostic(JSON.stringify(replayed))
  assertEqual(replayed, decisionCount({ outputs }))
  ok(replayed.revisions > 0, 'no revision was among them')
})

test('every row of an aligned replay is recomputed, and no value is left out', async (t) => {
  const stream = await openStream(t, 'offline-aligned')
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(2_000))
  await startScorer(t, stream.environment({ SLUICE_ALIGNMENT: 'aligned' }))
  await outputs.readToEnd()
  const replayed = await replayToEnd(stream)
  t.diagnostic(JSON.stringify(replayed))
  assertEqual(replayed, decisionCount({ outputs }))
  deepStrictEqual(replayed.notCompared, {})
})

test('decisions without state are left out, and later ones are equal again', async (t) => {
  const run = await startLive(t, 'offline-degraded')
  await run.redis.flushdb()
  await run.decide(run.parts[1])
  await run.restored()
  await run.decide(run.parts[2])
  await run.outputs.readToEnd()
  const replayed = await replayToEnd(run.stream)
  t.diagnostic(JSON.stringify(replayed))
  ok((replayed.notCompared['degraded'] ?? 0) > 0)
  assertEqual(replayed, decisionCount(run))
})

/** The card that occurs most in the last part, among those with a history from the first. */
function busiestCard({ parts }: LiveRun): string {
  const known = new Set(transactionsOf(parts[0]).map(({ card }) => card))
  const counts = new Map<string, number>()
  for (const { card } of transactionsOf(parts[1])) {
    if (known.has(card)) counts.set(card, (counts.get(card) ?? 0) + 1)
  }
  return [...counts].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? ''
}

async function generationOf({ redis, stream }: LiveRun, partition: number): Promise<number> {
  return (
    decodeProgress(await redis.get(partitionKeys(stream.streamId, partition).progress))
      ?.generation ?? 0
  )
}

/** Removes the newest event from a card's value; its checksum is valid again. */
async function loseEventOfCard(run: LiveRun, card: string): Promise<void> {
  const partition = partitionOf(Buffer.from(card), PARTITION_COUNT)
  const key = partitionKeys(run.stream.streamId, partition).card(
    await generationOf(run, partition),
    card,
  )
  const history = decodeCard(await run.redis.getBuffer(key))
  const before = history.count
  let newest = -1
  for (let index = 0; index < before; index += 1) newest = Math.max(newest, history.at(index, 3))
  history.forgetFrom(newest)
  strictEqual(history.count, before - 1)
  await run.redis.set(key, encodeCard(history, new ByteWriter()))
}

/** Removes every second event from each partition's aggregates of a terminal. */
async function loseEventsOfTerminal(run: LiveRun, terminal: string): Promise<number> {
  let lost = 0
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    const name = entityName(entityKeyOf('terminal', hashOf(terminal)))
    const keys = partitionKeys(run.stream.streamId, partition)
    const key = keys.entity(await generationOf(run, partition), name)
    const bytes = await run.redis.getBuffer(key)
    if (bytes === null) continue
    const part = decodeEntityPart(bytes)
    const kept = new EntityPart()
    for (const label of part.labels) kept.adoptLabel(label)
    for (const { startMs, count, cards } of part.hourlyBuckets) {
      const hour = kept.addToHour(startMs, count)
      for (const hash of cards.hashes) hour.cards.add(hash)
      hour.cards.isSaturated = cards.isSaturated
    }
    for (let index = 0; index < part.count; index += 1) {
      if (index % 2 === 0) {
        lost += 1
        continue
      }
      const { time, offset, id, card } = ENTITY_COLUMN
      const [timeMs, at] = [part.at(index, time), part.at(index, offset)]
      kept.append(kept.count, timeMs, at, part.at(index, id), part.at(index, card))
    }
    await run.redis.set(key, encodeEntityPart(kept, new ByteWriter()))
  }
  return lost
}

test('a card that lost an event in Redis shows in the meter and in the explanations of its decisions', async (t) => {
  const run = await startLive(t, 'offline-lost-card', NOTHING_KEPT)
  const card = busiestCard(run)
  const meter = await startCli(
    t,
    ['skew', '--sample', '1', '--metrics-port', '0'],
    run.stream.environment(),
  )
  await loseEventOfCard(run, card)
  await run.decide(run.parts[1])
  await run.outputs.readToEnd()
  await eventually('the meter has seen all', async () => {
    return (await metricOf(meter.metricsPort, 'sluice_skew_decisions_total')) === decisionCount(run)
  })
  ok((await metricOf(meter.metricsPort, mismatchesOf('card_count_30d'))) > 0)
  strictEqual(await metricOf(meter.metricsPort, mismatchesOf('amount')), 0)
  strictEqual(await meter.end('SIGTERM'), 0)
  const victim = transactionsOf(run.parts[1]).find((transaction) => transaction.card === card)
  const told = await explainedOf(run, victim?.id ?? '')
  const differing = told.features.filter(({ differs }) => differs).map(({ name }) => name)
  ok(differing.includes('card_count_30d'), differing.join())
  const shown = await runSluice(['features', victim?.id ?? ''], run.stream.environment())
  ok(shown.stdout.includes('!! DIFFERS'), shown.stdout)
})

test('a terminal whose value lost events shows in the features of that terminal', async (t) => {
  const run = await startLive(t, 'offline-lost-part', NOTHING_KEPT)
  const counts = new Map<string, number>()
  for (const { terminal } of transactionsOf(run.parts[0])) {
    if (terminal !== null) counts.set(terminal, (counts.get(terminal) ?? 0) + 1)
  }
  const [busiest = ''] = [...counts].toSorted(([, a], [, b]) => b - a)[0] ?? []
  ok((await loseEventsOfTerminal(run, busiest)) > 0)
  await run.decide(run.parts[1])
  await run.decide(run.parts[2])
  await run.outputs.readToEnd()
  const { mismatches } = await replayToEnd(run.stream)
  t.diagnostic(JSON.stringify(mismatches))
  const names = Object.keys(mismatches)
  ok(
    names.some((name) => name.startsWith('terminal_')),
    names.join(),
  )
  ok(
    names.every((name) => name.startsWith('terminal_')),
    names.join(),
  )
})

interface Told {
  readonly features: readonly {
    readonly name: string
    readonly value: number | null
    readonly differs: boolean
    readonly itself: boolean
    readonly transactionCount: number
    readonly transactions: readonly { readonly transactionId: string }[]
  }[]
}

async function explainedOf({ stream }: Pick<LiveRun, 'stream'>, id: string): Promise<Told> {
  const ended = await runSluice(['features', 'explain', id, '--json'], stream.environment())
  strictEqual(ended.code, 0, ended.stderr)
  return JSON.parse(ended.stdout) as Told
}

function mismatchesOf(feature: string): string {
  return `sluice_skew_mismatches_total{feature="${feature}"}`
}

test('sluice features explains and exports the values used, and reports those it cannot recompute', async (t) => {
  const stream = await openStream(t, 'offline-cli')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(1_500)
  await stream.send(events)
  await startScorer(t, stream.environment())
  await outputs.readToEnd()
  const last = transactionsOf(events).at(-1)
  const told = await explainedOf({ stream }, last?.id ?? '')
  const names = told.features.map(({ name }) => name)
  deepStrictEqual(names, FEATURE_NAMES)
  for (const { name, value, differs, itself, transactionCount } of told.features) {
    strictEqual(differs, false, name)
    if (/^card_count_\d+[mhd]$/.test(name)) {
      strictEqual(value, transactionCount + (itself ? 1 : 0), name)
    }
  }
  await assertExport(t, stream.environment(), outputs)
  const unknown = await runSluice(['features', 'no-such-id'], stream.environment())
  strictEqual(unknown.code, 2)
  ok(unknown.stderr.includes('no decision about no-such-id'), unknown.stderr)
})

async function assertExport(
  t: TestContext,
  environment: Readonly<Record<string, string>>,
  { decisionBatches }: ReturnType<typeof followOutputs>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-export-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const times = decisionBatches.flatMap(({ batch }) =>
    batch.decisions.map(({ eventTimeMs }) => eventTimeMs),
  )
  const day = (timeMs: number): string => new Date(timeMs).toISOString().slice(0, 10)
  const middle = day((Math.min(...times) + Math.max(...times)) / 2)
  const out = join(folder, 'features.csv.gz')
  const ended = await runSluice(
    ['features', 'export', '--from', '2000-01-01', '--to', middle, '--out', out, '--json'],
    environment,
  )
  strictEqual(ended.code, 0, ended.stderr)
  const text = gunzipSync(readFileSync(out)).toString()
  const rows = parse<Record<string, string>>(text, { columns: true })
  const expected = new Map<string, Float64Array>()
  for (const { batch } of decisionBatches) {
    for (const [index, decision] of batch.decisions.entries()) {
      if (decision.revision > 0 || decision.duplicateOfOffset !== null) continue
      if (decision.eventTimeMs >= Date.parse(middle) + 86_400_000) continue
      expected.set(decision.transactionId, recordedBatchOf(batch).rowAt(index).values)
    }
  }
  strictEqual(rows.length, expected.size)
  ok(rows.length > 0)
  strictEqual((JSON.parse(ended.stdout) as { rows: number }).rows, rows.length)
  for (const row of rows) {
    const values = FEATURE_NAMES.map((name) => (row[name] === '' ? NaN : Number(row[name])))
    deepStrictEqual(Float64Array.from(values), expected.get(row['transaction_id'] ?? ''))
  }
}
