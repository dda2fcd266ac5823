// Goal: P1 to P3 hold while scorers join and leave. Method: a second and a third instance join and leave, gracefully,
// while a live stream is decided; audit, and an oracle that applies the log in memory.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { audit } from '../support/audit.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { wrongAnswers } from '../support/live-oracle.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually, firstAnswer } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

/** A second, third and fourth scorer join and leave while a stream is decided, all without the named guard. */
async function joinAndLeave(t: TestContext, name: string, without: Guard | null) {
  const events = await simulatedEvents(12_000)
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  await stream.send(events)
  const environment = stream.environment({
    SLUICE_BATCH_SIZE_MAX: '16',
  })
  const start = (): Promise<ScorerProcess> => startScorer(t, environment, without)
  const moreBatches = async (count: number): Promise<void> => {
    const target = outputs.decisionBatches.length + count
    await outputs.until(
      'progress',
      () => outputs.decisionBatches.length >= target || outputs.isCaughtUp,
    )
  }
  const leave = async (scorer: ScorerProcess): Promise<void> => {
    strictEqual(await scorer.end('SIGTERM'), 0, scorer.log.slice(-2_000))
  }
  const first = await start()
  await moreBatches(20)
  const second = await start()
  const third = await start()
  await eventually('three share four partitions', async () => {
    const scorers = [first, second, third]
    const partitions = await Promise.all(
      scorers.map((scorer) => scorer.metric('sluice_partitions_assigned')),
    )
    return partitions.toSorted((a, b) => a - b).join() === '1,1,2'
  })
  await moreBatches(40)
  await leave(first)
  await moreBatches(40)
  const fourth = await start()
  await moreBatches(20)
  await leave(second)
  await outputs.readToEnd()
  await leave(third)
  await leave(fourth)
  return { stream, outputs, events }
}

test('scorers that join and leave share the partitions and change no decision', async (t) => {
  const { stream, outputs, events } = await joinAndLeave(t, 'rebalance', null)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  const wrong = await wrongAnswers(stream, outputs, events)
  deepStrictEqual(wrong.decisions.slice(0, 5), [])
  deepStrictEqual(wrong.alerts.slice(0, 5), [])
})

test('without reading back what is committed the same scorers decide transactions twice', async (t) => {
  const { stream, outputs } = await joinAndLeave(t, 'rebalance-control', 'read-back')
  const faults = await audit(stream, outputs)
  ok(
    faults.some(({ promise }) => promise === 'once'),
    JSON.stringify(faults.slice(0, 5)),
  )
})

test('an instance without a partition is ready and takes over when the others leave', async (t) => {
  const stream = await openStream(t, 'spare')
  const outputs = followOutputs(t, stream)
  const scorers: ScorerProcess[] = []
  // The last one in name order is the spare, and has never had a partition.
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    scorers.push(await startScorer(t, stream.environment({ SLUICE_GROUP_INSTANCE_ID: name })))
  }
  const spare = await firstAnswer(
    'four have a partition each, and one has none and is ready',
    async () => {
      const partitions = await Promise.all(
        scorers.map((scorer) => scorer.metric('sluice_partitions_assigned')),
      )
      // During a rebalance members may have no partitions for a moment.
      if (partitions.toSorted((a, b) => a - b).join() !== '0,1,1,1,1') return null
      const idle = scorers[partitions.indexOf(0)]
      return (await idle?.page('/readyz'))?.status === 200 ? (idle ?? null) : null
    },
  )
  for (const scorer of scorers) if (scorer !== spare) strictEqual(await scorer.end('SIGTERM'), 0)
  await stream.send(await simulatedEvents(500))
  await outputs.readToEnd()
  deepStrictEqual(await audit(stream, outputs), [])
  strictEqual(await spare.end('SIGTERM'), 0)
})
