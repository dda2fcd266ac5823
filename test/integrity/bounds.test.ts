// Goal: P6, the memory and the waiting time of a scorer stay within named limits, whatever is sent and whichever server
// does not answer. Method: a backlog behind a waiting replay, more blocked cards than a partition may lease, and an
// unresponsive Redis, on real servers; each has a control without that limit.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test } from 'node:test'
import { cardsOfPartition, openLeaseStream } from '../support/lease-stream.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

/** The flood: the number of messages, and the bytes of each with its headers. */
const FLOOD_MESSAGES = 40_000
const FLOOD_BYTES = 4_000
const FLOOD_PART = 200
const MIB = 1_048_576
/** Four batches, one fetch and the process's own needs, against 150 MiB of flood. */
const GROWTH_BYTES_MAX = 64 * MIB
const GROWTH_UNBOUNDED = 110 * MIB

const memoryOf = (scorer: ScorerProcess): Promise<number> =>
  scorer.metric('process_resident_memory_bytes')

/** Fills one partition with messages that a replay cannot decide yet, since no watermark allows it. */
async function flood(stream: TestStream): Promise<void> {
  const first = (await simulatedEvents(10)).find((event) => event.kind === 'transaction')
  ok(first !== undefined)
  const [card = ''] = cardsOfPartition(0, 1)
  const value = stream.codecs.transaction.encode({ ...first.transaction, card })
  for (let sent = 0; sent < FLOOD_MESSAGES; sent += FLOOD_PART) {
    const messages = Array.from({ length: FLOOD_PART }, () => ({
      key: card,
      value,
      headers: { padding: randomBytes(FLOOD_BYTES) },
    }))
    await stream.sendRaw('transactions', 0, messages)
  }
}

test('a backlog behind a waiting replay stays in Kafka; a scorer without the limit fetches all of it', async (t) => {
  const stream = await openStream(t, 'flood')
  const environment = (name: string) =>
    stream.environment({
      SLUICE_ALIGNMENT: 'aligned',
      SLUICE_BATCH_SIZE_MAX: '64',
      SLUICE_GROUP_ID: `${stream.groupId}-${name}`,
      SLUICE_STREAM_ID: `${stream.streamId}-${name}`,
    })
  const limited = await startScorer(t, environment('limited'))
  const unlimited = await startScorer(t, environment('unlimited'), 'queue-limit')
  const before = { limited: await memoryOf(limited), unlimited: await memoryOf(unlimited) }
  await flood(stream)
  await eventually('the control has taken the flood', async () => {
    return (await memoryOf(unlimited)) - before.unlimited > GROWTH_UNBOUNDED
  })
  const grown = (await memoryOf(limited)) - before.limited
  t.diagnostic(`the limited one grew by ${Math.round(grown / MIB)} MiB`)
  ok(grown < GROWTH_BYTES_MAX, `it grew by ${Math.round(grown / MIB)} MiB`)
})

test('a partition leases no more cards than its limit; without the limit it leases all', async (t) => {
  const cards = cardsOfPartition(0, 10)
  const leased = async (name: string, more: Readonly<Record<string, string>>) => {
    const of = await openLeaseStream(t, name, more)
    const scorer = await startScorer(t, of.environment)
    await of.pay(cards.map((card, index) => ({ card, atMs: index })))
    await of.outputs.readToEnd()
    strictEqual(await scorer.end('SIGTERM'), 0)
    const { alerts, liveLeases } = of.outputs
    const full = alerts.filter(({ annotations }) => annotations.includes('leases_full'))
    return { leases: liveLeases.size, flagged: full.map(({ action }) => action) }
  }
  const limited = await leased('leases-max', { SLUICE_LEASES_MAX: '3' })
  deepStrictEqual(limited, { leases: 3, flagged: Array.from({ length: 7 }, () => 'flag') })
  deepStrictEqual(await leased('leases-all', {}), { leases: 10, flagged: [] })
})

/** The longest allowed value; the control waits this long instead of the default. */
const STATE_TIMEOUT_MS_MAX = 5_000
/** Shorter than that, and enough for a decision after the default time-out. */
const ANSWER_MS_MAX = 4_500

test('an unresponsive Redis delays a decision by no more than the timeout, and by more where that is longer', async (t) => {
  const events = await simulatedEvents(200)
  const areAnswered = async (name: string, more: Readonly<Record<string, string>>) => {
    const stream = await openStream(t, name)
    const outputs = followOutputs(t, stream)
    const proxy = await openRedisProxy(t, stream.redisUrl)
    const environment = stream.environment({ SLUICE_REDIS_URL: proxy.url, ...more })
    const scorer = await startScorer(t, environment)
    await eventually('every partition is at work', async () => {
      return (await scorer.metric('sluice_partition_up')) === PARTITION_COUNT
    })
    const isHeld = proxy.holdAt('mget')
    await stream.send(events)
    await isHeld
    const answered = outputs.until('the answers', () => outputs.isCaughtUp).then(() => true)
    // A decision that is still awaited when the test ends does not count as a failure.
    answered.catch(() => undefined)
    const isAnswered = await Promise.race([answered, sleepMs(ANSWER_MS_MAX, false)])
    proxy.release()
    await answered
    return isAnswered
  }
  strictEqual(await areAnswered('silent', {}), true)
  strictEqual(
    await areAnswered('silent-unbounded', {
      SLUICE_STATE_TIMEOUT_MS: String(STATE_TIMEOUT_MS_MAX),
    }),
    false,
  )
})
