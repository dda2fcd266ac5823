// Goal: input held back by an open transaction of its producer is measured and reported, and decided once the
// transaction has ended. Method: a transactional producer that neither commits nor aborts, ahead of messages of another
// producer.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { seriesOf } from '../../services/cli/metrics-page.ts'
import { audit } from '../support/audit.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'
import { openTransactionalProducer } from '../support/transactions.ts'

/** Begins a transaction in partition 0 of transactions. Its record and its marker are two offsets. */
async function openTransaction(t: TestContext, stream: TestStream) {
  const producer = await openTransactionalProducer(t, stream)
  const transaction = await producer.begin('never decided')
  stream.sent[0]?.push('control')
  return transaction
}

/** Seconds for which the input of each partition is held back. */
async function heldBack(scorer: ScorerProcess): Promise<ReadonlyMap<string, number>> {
  const { body } = await scorer.page('/metrics')
  const series = seriesOf(body, 'sluice_input_held_back_seconds')
  return new Map(series.map(({ labels, value }) => [labels['partition'] ?? '', value]))
}

test('input behind an open transaction is measured and logged, and decided after the abort', async (t) => {
  const stream = await openStream(t, 'held-back')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(400)
  await stream.send(events.slice(0, 200))
  const scorer = await startScorer(t, stream.patientEnvironment())
  await outputs.until('the first half', () => outputs.isCaughtUp)
  await eventually('no partition is held back', async () => {
    const seconds = [...(await heldBack(scorer)).values()]
    return seconds.length === 4 && seconds.every((each) => each === 0)
  })

  const answered = outputs.nextOffsets[0] ?? 0
  const transaction = await openTransaction(t, stream)
  await stream.send(events.slice(200))
  await eventually('the metric rises', async () => ((await heldBack(scorer)).get('0') ?? 0) > 10)
  await scorer.logged('An open transaction of a producer holds back the input')
  const others = [...(await heldBack(scorer))].filter(([partition]) => partition !== '0')
  deepStrictEqual(
    others.map(([, seconds]) => seconds),
    [0, 0, 0],
  )
  strictEqual(outputs.nextOffsets[0], answered, 'nothing behind it is decided')

  await transaction.abort()
  stream.sent[0]?.push('control')
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  ok(outputs.nextOffsets[0] > answered)
  await eventually('the metric falls', async () => (await heldBack(scorer)).get('0') === 0)
  await scorer.logged('The input is not held back any more.')
  deepStrictEqual(await audit(stream, outputs), [])
})

test('kafkajs does not tell what holds back the input, so there is no metric of it', async (t) => {
  const stream = await openStream(t, 'held-kafkajs')
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(100))
  const client = { SLUICE_KAFKA_CLIENT: 'kafkajs' }
  const scorer = await startScorer(t, stream.patientEnvironment(client))
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  // Both are set at the same time, if at all.
  await eventually('the lag is observed', async () => {
    return seriesOf((await scorer.page('/metrics')).body, 'sluice_lag_messages').length === 4
  })
  strictEqual((await heldBack(scorer)).size, 0)
})
