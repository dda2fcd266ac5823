// Goal: a reader of a range of the log gets the first decisions of exactly its transactions, and neither reader runs
// ahead without limit. Method: decision batches and requests in chosen orders.

import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import type { DecisionRecord } from '../../../../services/core/wire/records.ts'
import type { Admin } from 'kafkajs'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import type { LogRange } from '../../../../services/platform/kafka/log-client.ts'
import { offsetOutOfRange } from '../../../../services/platform/kafka/log-ends.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'
import {
  readDecidedOutcomes,
  DecidedOutcomes,
  OUTCOMES_AHEAD_MAX,
} from '../../../../services/scorer/recovery/decided-outcomes.ts'

type Decided = Pick<
  DecisionRecord,
  'offset' | 'revision' | 'duplicateOfOffset' | 'card' | 'outcome'
>

function decision(offset: number, changed: Partial<Decided> = {}): DecisionRecord {
  const decided: Decided = {
    ...{ offset, revision: 0, duplicateOfOffset: null, card: 'card', outcome: 'flag' },
    ...changed,
  }
  return decided as DecisionRecord
}

const block = (nextOffset: number, ...decisions: readonly DecisionRecord[]) => ({
  nextOffset,
  decisions,
  deadLetterOffsets: [] as readonly number[],
})

async function offsetsBelow(outcomes: DecidedOutcomes, nextOffset: number) {
  return (await outcomes.take(nextOffset)).outcomes.map(({ offset }) => offset)
}

/** True when it is settled once everything else has run. */
async function isFinalised(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.finally(() => {
    settled = true
  })
  await turn()
  return settled
}

test('first decisions of the stretch are handed over once, in order, and nothing else', async () => {
  const outcomes = new DecidedOutcomes(10, 20)
  await outcomes.add(block(12, decision(9), decision(10), decision(11, { outcome: 'block' })))
  await outcomes.add(
    block(
      21,
      decision(13, { duplicateOfOffset: 10 }),
      decision(19),
      decision(20),
      decision(11, { revision: 1, outcome: 'approve' }),
    ),
  )
  deepStrictEqual((await outcomes.take(12)).outcomes, [
    { card: 'card', offset: 10, outcome: 'flag' },
    { card: 'card', offset: 11, outcome: 'block' },
  ])
  deepStrictEqual(await offsetsBelow(outcomes, 20), [19])
  deepStrictEqual(await offsetsBelow(outcomes, 20), [])
  strictEqual(outcomes.isComplete, true)
})

test('who asks for what is not read yet waits for its block', async () => {
  const outcomes = new DecidedOutcomes(0, 100)
  await outcomes.add(block(1, decision(0)))
  const asked = offsetsBelow(outcomes, 3)
  strictEqual(await isFinalised(asked), false)
  await outcomes.add(block(2, decision(1)))
  strictEqual(await isFinalised(asked), false)
  await outcomes.add(block(3, decision(2)))
  deepStrictEqual(await asked, [0, 1, 2])
})

test('a block that is not there leaves its outcomes unknown, in the middle and at the end', async () => {
  const outcomes = new DecidedOutcomes(0, 100)
  await outcomes.add(block(2, decision(0), decision(1)))
  await outcomes.add(block(6, decision(5)))
  deepStrictEqual(await offsetsBelow(outcomes, 6), [0, 1, 5])
  const asked = offsetsBelow(outcomes, 9)
  strictEqual(await isFinalised(asked), false)
  outcomes.end()
  deepStrictEqual(await asked, [])
})

test('what got a dead letter is told once, with its stretch', async () => {
  const outcomes = new DecidedOutcomes(2, 10)
  await outcomes.add({ ...block(5, decision(0), decision(3)), deadLetterOffsets: [1, 2, 4] })
  await outcomes.add({ ...block(7, decision(6)), deadLetterOffsets: [5] })
  deepStrictEqual([...(await outcomes.take(5)).refused], [2, 4])
  deepStrictEqual([...(await outcomes.take(7)).refused], [5])
  strictEqual(outcomes.size, 0)
})

test('the reader of blocks waits while more wait than may, until they are taken', async () => {
  const outcomes = new DecidedOutcomes(0, Infinity)
  const all = Array.from({ length: OUTCOMES_AHEAD_MAX }, (_, offset) => decision(offset))
  await outcomes.add(block(all.length, ...all))
  const added = outcomes.add(block(all.length + 1, decision(all.length)))
  strictEqual(await isFinalised(added), false)
  strictEqual(outcomes.size, OUTCOMES_AHEAD_MAX)
  strictEqual((await outcomes.take(100)).outcomes.length, 100)
  await added
  strictEqual(outcomes.size, OUTCOMES_AHEAD_MAX - 100 + 1)
})

test('a reader that failed is not taken for a log without blocks; one that was stopped lets everybody go', async () => {
  const failed = new DecidedOutcomes(0, 10)
  const asked = failed.take(5)
  failed.end(new Error('the broker is away'))
  await rejects(asked, /the broker is away/)
  const full = new DecidedOutcomes(0, Infinity)
  const all = Array.from({ length: OUTCOMES_AHEAD_MAX }, (_, offset) => decision(offset))
  await full.add(block(all.length, ...all))
  const added = full.add(block(all.length + 1, decision(all.length)))
  full.end()
  await added
})

test('blocks that tell of what was taken already change nothing', async () => {
  const outcomes = new DecidedOutcomes(0, 10)
  await outcomes.add(block(5, decision(4)))
  deepStrictEqual(await offsetsBelow(outcomes, 5), [4])
  await outcomes.add(block(5, decision(4, { outcome: 'block' })))
  strictEqual(outcomes.size, 0)
  await outcomes.add(block(10, decision(9)))
  deepStrictEqual(await offsetsBelow(outcomes, 10), [9])
})

test('blocks that retention takes before they are read leave their outcomes unknown', async () => {
  const codecs = createCodecs(await new FileRegistry().load())
  const asked: number[] = []
  const lows = ['0', '7']
  const offsets = () => [{ partition: 1, offset: '9', high: '9', low: lows.shift() ?? '7' }]
  const source = {
    admin: {
      fetchTopicOffsets: () => Promise.resolve(offsets()),
      fetchTopicOffsetsByTimestamp: () => Promise.resolve([{ partition: 1, offset: '3' }]),
    } as unknown as Admin,
    readRange: ({ topic, partition, from, to }: LogRange) => {
      asked.push(from)
      if (from >= 7) return Promise.resolve()
      return Promise.reject(offsetOutOfRange(topic, partition, from, { low: 7, high: to }))
    },
    codecs,
    decisionsTopic: 'decisions',
    partition: 1,
  }
  const reading = readDecidedOutcomes(source, 0, 10, 7_200_000, null)
  deepStrictEqual(await reading.outcomes.take(10), { outcomes: [], refused: new Set() })
  await reading.close()
  deepStrictEqual(asked, [3, 7])
})
