// Goal: live, a Redis that loses the state or does not answer costs exactness for a while and nothing else. Each input
// is answered once, decisions without state are annotated as degraded and block nothing, and afterwards decisions and
// state equal those of the log. Method: a database of the test's own is emptied, rolled back, damaged, or unreachable
// between two parts of a stream; an oracle applies the log in memory; controls do not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { decodeProgress } from '../../services/core/stream/partition-progress.ts'
import { entityKeyOf } from '../../services/core/features/catalogue/feature-definition.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import { entityName, partitionKeys } from '../../services/platform/redis/keys.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { wrongDecisions } from '../support/live-oracle.ts'
import {
  assertWhole,
  degradedOf,
  PARTITIONS,
  saveDatabase,
  startLive,
  takeBack,
  wrongState,
  type LiveRun,
} from '../support/live-loss.ts'
import { eventually } from '../support/poll.ts'
import { PARTITION_COUNT, SHORT_SESSION } from '../support/streams.ts'

/** Every batch reads all of its values, so that damage in Redis is noticed at once. */
const NOTHING_KEPT = { SLUICE_STATE_CACHE_MIB: '0' }

async function lossesOf({ scorer }: LiveRun, cause: string): Promise<number> {
  return scorer.metric('sluice_state_losses_total', `cause="${cause}"`)
}

/** Current generation of a partition's state. */
async function generationOf({ redis, stream }: LiveRun, partition: number): Promise<number> {
  const progress = decodeProgress(
    await redis.get(partitionKeys(stream.streamId, partition).progress),
  )
  return progress?.generation ?? 0
}

test('an emptied Redis is detected at the next batch, and its state is rebuilt', async (t) => {
  const run = await startLive(t, 'emptied')
  await run.redis.flushdb()
  await run.decide(run.parts[1])
  await run.restored()
  strictEqual(await lossesOf(run, 'emptied'), PARTITIONS.length)
  ok((await run.scorer.metric('sluice_state_restored_events_total')) > 0)
  await assertWhole(run)
})

test('a Redis restarted without its data is not treated as one without history', async (t) => {
  const run = await startLive(t, 'empty-start')
  run.proxy.sever()
  await run.redis.flushdb()
  run.proxy.mend()
  await run.decide(run.parts[1])
  await run.restored()
  await assertWhole(run)
})

test('a rolled-back Redis is detected, and later events are applied to it again', async (t) => {
  const run = await startLive(t, 'rolled-back')
  const half = Math.ceil(run.parts[1].length / 2)
  const generations = await Promise.all(PARTITIONS.map((keys) => generationOf(run, keys)))
  const saved = await saveDatabase(run.redis)
  await run.decide(run.parts[1].slice(0, half))
  strictEqual(degradedOf(run).length, 0)
  await takeBack(run.redis, saved)
  await run.decide(run.parts[1].slice(half))
  await run.restored()
  strictEqual(await lossesOf(run, 'rolled_back'), PARTITIONS.length)
  deepStrictEqual(await Promise.all(PARTITIONS.map((keys) => generationOf(run, keys))), generations)
  await assertWhole(run)
})

test('without the state-loss check, the same fault gives wrong decisions and wrong state', async (t) => {
  const run = await startLive(t, 'not-looked', NOTHING_KEPT, {}, 'loss-check')
  const half = Math.ceil(run.parts[1].length / 2)
  const saved = await saveDatabase(run.redis)
  await run.decide(run.parts[1].slice(0, half))
  await takeBack(run.redis, saved)
  await run.decide([...run.parts[1].slice(half), ...run.parts[2]])
  await run.outputs.readToEnd()
  strictEqual(degradedOf(run).length, 0)
  ok((await wrongDecisions(run.stream, run.outputs, run.sent)).length > 0)
  ok((await wrongState(run)).length > 0)
})

test('an unresponsive Redis delays no decision beyond its timeout', async (t) => {
  const run = await startLive(t, 'silent', { SLUICE_STATE_TIMEOUT_MS: '1000' })
  const isHeld = run.proxy.holdAt('mget')
  const deciding = run.decide(run.parts[1])
  await isHeld
  await deciding
  ok((await lossesOf(run, 'unanswered')) >= PARTITIONS.length)
  run.proxy.release()
  await run.restored()
  await assertWhole(run)
})

test('a Redis that writes a batch without acknowledging it delays no decision beyond its timeout', async (t) => {
  const run = await startLive(t, 'silent-write', { SLUICE_STATE_TIMEOUT_MS: '1000' })
  const isHeld = run.proxy.holdAt('eval')
  const deciding = run.decide(run.parts[1])
  await isHeld
  await deciding
  run.proxy.release()
  await run.restored()
  await assertWhole(run)
})

test('a scorer that starts while Redis is away decides, and uses state once Redis is available', async (t) => {
  const run = await startLive(t, 'away')
  await run.restart('SIGTERM', () => {
    run.proxy.sever()
  })
  await run.decide(run.parts[1])
  const { status, body } = await run.scorer.page('/readyz')
  strictEqual(status, 200)
  ok(body.includes('"redis":"down"') && body.includes('"degradedPartitions":[0,1,2,3]'), body)
  run.proxy.mend()
  await run.restored()
  await assertWhole(run)
})

test('a scorer killed before it has restored the state leaves the restore to the next one', async (t) => {
  const run = await startLive(t, 'killed', { SLUICE_STATE_TIMEOUT_MS: '1000' }, SHORT_SESSION)
  await run.redis.flushdb()
  const isHeld = run.proxy.holdAt('eval')
  const deciding = run.decide(run.parts[1])
  await isHeld
  await deciding
  await run.restart('SIGKILL', () => {
    run.proxy.release()
  })
  await run.restored()
  await assertWhole(run)
})

test('a damaged card is never read as an empty history, and its partition is rebuilt', async (t) => {
  const run = await startLive(t, 'damaged-card', NOTHING_KEPT)
  const { card, partition } = knownCardOf(run)
  const generation = await generationOf(run, partition)
  await run.redis.set(
    partitionKeys(run.stream.streamId, partition).card(generation, card),
    'damaged',
  )
  await run.decide(run.parts[1])
  await run.restored()
  strictEqual(await lossesOf(run, 'corrupt'), 1)
  ok((await generationOf(run, partition)) > generation)
  await assertWhole(run)
})

test('a damaged remote partial degrades its readers until its owner has rebuilt it', async (t) => {
  const run = await startLive(t, 'damaged-part', NOTHING_KEPT)
  const [transaction, owner] = foreignReader(run)
  const generation = await generationOf(run, owner)
  const keys = partitionKeys(run.stream.streamId, owner)
  const terminal = entityKeyOf('terminal', hashOf(transaction.terminal ?? ''))
  await run.redis.set(keys.entity(generation, entityName(terminal)), 'damaged')
  await run.decide([{ kind: 'transaction', transaction, fraudPattern: null }])
  deepStrictEqual(
    degradedOf(run).map(({ transactionId }) => transactionId),
    [transaction.id],
  )
  await run.decide(run.parts[1])
  await run.restored()
  await eventually('the owner has built it again', async () => {
    return (await generationOf(run, owner)) > generation
  })
  strictEqual(await lossesOf(run, 'corrupt'), 1)
  await assertWhole(run)
})

/** A card of the second part with a history from the first. */
function knownCardOf({ parts }: LiveRun): { card: string; partition: number } {
  const known = new Set(cardsOf(parts[0]))
  const card = cardsOf(parts[1]).find((one) => known.has(one)) ?? ''
  return { card, partition: partitionOf(Buffer.from(card), PARTITION_COUNT) }
}

function cardsOf(events: readonly ProducedEvent[]): readonly string[] {
  return events.flatMap((event) => (event.kind === 'transaction' ? [event.transaction.card] : []))
}

/** Another transaction of a known card at a terminal that another partition knows too; and that partition. */
function foreignReader({ sent }: LiveRun) {
  const before = sent.flatMap((event) =>
    event.kind === 'transaction' && event.transaction.terminal !== null ? [event.transaction] : [],
  )
  const partitionOfCard = (card: string): number => partitionOf(Buffer.from(card), PARTITION_COUNT)
  const last = before.at(-1)
  if (last === undefined) throw new Error('No terminal is named.')
  const other = before.find(
    ({ terminal, card }) =>
      terminal === last.terminal && partitionOfCard(card) !== partitionOfCard(last.card),
  )
  if (other === undefined) throw new Error('No terminal is shared.')
  return [{ ...last, id: `${last.id}-again`, intentId: null }, partitionOfCard(other.card)] as const
}
