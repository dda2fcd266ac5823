// Goal: the scorer's duties besides deciding: duplicates, messages that the log has lost, its own reports. Method: the
// process as an operator starts it, real topics, committed output.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Transaction } from '../../services/core/transaction.ts'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import { createScorerTelemetry } from '../../services/platform/metrics/scorer-telemetry.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import { closeWith } from '../support/cleanup.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { LONG_SESSION, openStream, simulatedEvents, type TestStream } from '../support/streams.ts'

/** A decision and its partition. */
type Placed = DecisionRecord & { readonly partition: number }

function decisionsOf(outputs: Outputs): readonly Placed[] {
  return outputs.decisionBatches.flatMap(({ batch, partition }) =>
    batch.decisions.map((decision) => ({ ...decision, partition })),
  )
}

function transactionsOf(events: readonly ProducedEvent[]): readonly Transaction[] {
  return events.flatMap((event) => (event.kind === 'transaction' ? [event.transaction] : []))
}

test('a duplicate transaction gets its first decision again, and no second alert', async (t) => {
  const stream = await openStream(t, 'duplicates')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(2_000)
  await stream.send(events)
  const scorer = await startScorer(t, stream.patientEnvironment())
  await outputs.until('the first decisions', () => outputs.isCaughtUp)
  const first = decisionsOf(outputs)
  // The newest of each outcome, since a card keeps a limited number of older ones.
  const chosen = (['approve', 'flag', 'block'] as const).flatMap((wanted) => {
    const last = first.findLast(({ outcome, score }) => outcome === wanted && score !== null)
    return last === undefined ? [] : [last]
  })
  ok(
    chosen.some(({ outcome }) => outcome !== 'approve'),
    'no alert to repeat',
  )
  const byId = new Map(transactionsOf(events).map((transaction) => [transaction.id, transaction]))
  const again = chosen.flatMap(({ transactionId }): ProducedEvent[] => {
    const transaction = byId.get(transactionId)
    return transaction === undefined
      ? []
      : [{ kind: 'transaction', transaction, fraudPattern: null }]
  })
  // Twice in a row, so that both copies are in one batch.
  await stream.send([...again, ...again])
  await outputs.readToEnd()
  const repeated = decisionsOf(outputs).slice(first.length)
  strictEqual(repeated.length, 2 * chosen.length)
  for (const original of chosen) {
    const copies = repeated.filter(({ transactionId }) => transactionId === original.transactionId)
    deepStrictEqual(
      copies.map((copy) => [copy.duplicateOfOffset, copy.outcome, copy.score, copy.notScored]),
      Array(2).fill([original.offset, original.outcome, null, 'duplicate']),
    )
  }
  // The audit allows no alert of a duplicate.
  deepStrictEqual(await audit(stream, outputs), [])
  // A batch is counted after its commit is answered; a read-committed consumer may see it earlier.
  await eventually('the copies are counted', async () => {
    return (await scorer.metric('sluice_duplicates_total')) === repeated.length
  })
})

/** Deletes the first undecided messages of partition 0, as too short a retention would. */
async function loseMessages(stream: TestStream, outputs: Outputs): Promise<void> {
  const topic = `${stream.prefix}transactions`
  const offset = String((outputs.nextOffsets[0] ?? 0) + 5)
  // kafkajs finds only the leaders of topics that this client has asked about before.
  await stream.admin.fetchTopicOffsets(topic)
  await stream.admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
}

/** Partition 0 must stop and keep its offset, while the others answer everything. */
async function assertStopsLoudly(
  stream: TestStream,
  outputs: Outputs,
  scorer: ScorerProcess,
  answered: number,
): Promise<void> {
  await outputs.until('the other partitions', () =>
    stream.sent.every(({ length }, index) => index === 0 || outputs.nextOffsets[index] === length),
  )
  await eventually('the partition stops', async () => {
    return (
      (await scorer.metric('sluice_partition_stops_total', 'reason="offset_out_of_range"')) === 1
    )
  })
  strictEqual(outputs.nextOffsets[0], answered, 'messages were skipped')
  await scorer.logged('is next to be decided')
  strictEqual(await scorer.end('SIGTERM'), 0)
}

test('a partition that lost messages while no scorer ran stops with an error, and the others continue', async (t) => {
  const stream = await openStream(t, 'gone')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(1_000)
  await stream.send(events.slice(0, 500))
  const first = await startScorer(t, stream.patientEnvironment())
  await outputs.until('the first half', () => outputs.isCaughtUp)
  strictEqual(await first.end('SIGTERM'), 0)
  const answered = outputs.nextOffsets[0] ?? 0
  await stream.send(events.slice(500))
  await loseMessages(stream, outputs)
  await assertStopsLoudly(
    stream,
    outputs,
    await startScorer(t, stream.patientEnvironment()),
    answered,
  )
})

test('a partition whose messages are lost before it fetches them stops with an error, now and after a restart', async (t) => {
  const stream = await openStream(t, 'going')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(1_000)
  await stream.send(events.slice(0, 500))
  const environment = stream.patientEnvironment(LONG_SESSION)
  const first = await startScorer(t, environment)
  await outputs.until('the first half', () => outputs.isCaughtUp)
  const answered = outputs.nextOffsets[0] ?? 0
  // Stopped, so that it cannot fetch between the two steps.
  first.signal('SIGSTOP')
  await stream.send(events.slice(500))
  await loseMessages(stream, outputs)
  first.signal('SIGCONT')
  await assertStopsLoudly(stream, outputs, first, answered)
  const second = await startScorer(t, environment)
  await assertStopsLoudly(stream, outputs, second, answered)
})

test('the scorer reports its work on its pages', async (t) => {
  const stream = await openStream(t, 'pages')
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(1_000))
  const scorer = await startScorer(t, stream.patientEnvironment())
  await outputs.readToEnd()
  await eventually('all batches are counted', async () => {
    return (await scorer.metric('sluice_decisions_total')) === decisionsOf(outputs).length
  })
  const { body } = await scorer.page('/metrics')
  const documented = createScorerTelemetry().registry.getMetricsAsArray()
  for (const { name } of documented) ok(body.includes(`# TYPE ${name} `), `${name} is missing`)
  strictEqual(await scorer.metric('sluice_alerts_total'), outputs.alerts.length)
  strictEqual(await scorer.metric('sluice_partitions_assigned'), 4)
  strictEqual(await scorer.metric('sluice_scoring_backend_info', 'backend="compiled"'), 1)
  strictEqual(await scorer.metric('sluice_event_to_alert_seconds_count'), outputs.alerts.length)
  for (const stage of ['decode', 'read', 'features', 'score', 'write', 'commit', 'total']) {
    const count = await scorer.metric('sluice_stage_duration_seconds_count', `stage="${stage}"`)
    ok(count >= outputs.decisionBatches.length, `stage ${stage} was not observed`)
  }
  deepStrictEqual(await scorer.page('/livez'), { status: 200, body: 'ok\n' })
  const ready = await scorer.page('/readyz')
  strictEqual(ready.status, 200)
  ok(ready.body.includes('"ready":true') && ready.body.includes('"redis":"up"'), ready.body)
  strictEqual((await scorer.page('/nothing')).status, 404)
})

test('two streams on one cluster, each in its default group, are both decided', async (t) => {
  const streams = [await openStream(t, 'one'), await openStream(t, 'two')]
  const events = await simulatedEvents(1_000)
  const all = streams.map((stream) => {
    const groupId = `${stream.prefix}sluice-scorer`
    closeWith(t, async () => {
      await stream.admin.deleteGroups([groupId]).catch(() => undefined)
    })
    return { stream, outputs: followOutputs(t, stream) }
  })
  for (const { stream, outputs } of all) {
    await stream.send(events.slice(0, 500))
    // The group has no name: the variable is empty, as Compose passes it.
    const scorer = await startScorer(t, stream.environment({ SLUICE_GROUP_ID: '' }))
    await scorer.logged('Hashes in dead letters use the built-in development key')
    await outputs.until('the stream is decided', () => outputs.isCaughtUp)
  }
  // Both scorers are members by now, and the first one has kept its partitions.
  for (const { stream, outputs } of all) {
    await stream.send(events.slice(500))
    await outputs.readToEnd()
    deepStrictEqual(await audit(stream, outputs), [])
  }
})
