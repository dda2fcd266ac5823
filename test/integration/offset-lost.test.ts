// Goal: a group whose offsets were lost, or set by hand, decides nothing twice and skips nothing silently. Method: the
// offsets are changed while no scorer runs; the partition must stop, and continue once the offset matches its last
// decision.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { audit } from '../support/audit.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

interface Run {
  readonly stream: TestStream
  readonly outputs: Outputs
  /** Offset of each partition up to which the first scorer has decided. */
  readonly decidedTo: readonly number[]
  readonly environment: Record<string, string>
}

/** A scorer has decided the first half and is stopped; the second half is sent. */
async function halfDecided(t: TestContext, name: string, client: string): Promise<Run> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(600)
  await stream.send(events.slice(0, 300))
  const environment = stream.patientEnvironment({ SLUICE_KAFKA_CLIENT: client })
  const first = await startScorer(t, environment)
  await outputs.until('the first half', () => outputs.isCaughtUp)
  strictEqual(await first.end('SIGTERM'), 0)
  const decidedTo = [...outputs.nextOffsets]
  await stream.send(events.slice(300))
  return { stream, outputs, decidedTo, environment }
}

function setOffset({ stream }: Run, offset: number): Promise<void> {
  const topic = `${stream.prefix}transactions`
  const partitions = [{ partition: 0, offset: String(offset) }]
  return stream.admin.setOffsets({ groupId: stream.groupId, topic, partitions })
}

function hasStopped(scorer: ScorerProcess, count: number): Promise<void> {
  return eventually('it stops', async () => {
    return (await scorer.metric('sluice_partition_stops_total', 'reason="offset_lost"')) === count
  })
}

/** Partition 0 stops and decides nothing, while the others decide everything. */
async function stopsAlone(t: TestContext, { stream, outputs, decidedTo, environment }: Run) {
  const scorer = await startScorer(t, environment)
  await hasStopped(scorer, 1)
  await outputs.until('the other partitions', () =>
    stream.sent.every(({ length }, index) => index === 0 || outputs.nextOffsets[index] === length),
  )
  strictEqual(outputs.nextOffsets[0], decidedTo[0])
  await scorer.logged(`the last decision batch reaches to ${decidedTo[0] ?? 0}`)
  strictEqual(await scorer.metric('sluice_partition_up'), PARTITION_COUNT - 1)
  strictEqual(await scorer.end('SIGTERM'), 0)
}

for (const client of ['native', 'kafkajs']) {
  test(`${client}: a group that was set back stops, and goes on once it is where its decisions end`, async (t) => {
    const run = await halfDecided(t, `set-back-${client}`, client)
    const { stream, outputs, decidedTo, environment } = run
    const last = decidedTo[0] ?? 0
    await setOffset(run, last - 10)
    await stopsAlone(t, run)
    await setOffset(run, last)
    await startScorer(t, environment)
    await outputs.until('all decisions', () => outputs.isCaughtUp)
    deepStrictEqual(await audit(stream, outputs), [])
  })
}

test('a group that was set ahead, past what the log still holds, stops', async (t) => {
  const run = await halfDecided(t, 'set-ahead', 'native')
  await setOffset(run, (run.decidedTo[0] ?? 0) + 5)
  await stopsAlone(t, run)
})

test('a group whose offsets are gone decides nothing', async (t) => {
  const { stream, outputs, decidedTo, environment } = await halfDecided(t, 'forgotten', 'native')
  await eventually('the group is empty and deleted', () =>
    stream.admin.deleteGroups([stream.groupId]).then(
      () => true,
      () => false,
    ),
  )
  const batches = outputs.decisionBatches.length
  const scorer = await startScorer(t, environment)
  await hasStopped(scorer, PARTITION_COUNT)
  await scorer.logged('The group has no offset of')
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual(outputs.nextOffsets, decidedTo)
  strictEqual(outputs.decisionBatches.length, batches)
})

test('a restart with the offsets as they were goes on, and believes nothing unchecked', async (t) => {
  const { stream, outputs, environment } = await halfDecided(t, 'restarted', 'native')
  const scorer = await startScorer(t, environment)
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  strictEqual(await scorer.metric('sluice_partition_stops_total'), 0)
  strictEqual(await scorer.end('SIGTERM'), 0)
  strictEqual(scorer.log.includes('believed unchecked'), false)
  deepStrictEqual(await audit(stream, outputs), [])
})
