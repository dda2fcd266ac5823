// Goal: records crafted to stop their reader become dead letters, and delay neither their partition nor others. Method:
// the released scorer with a short session, a record with 8,000 headers in one partition and a batch of 130,000 empty
// records in another; then payments to all partitions.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { emptyRecords, HEADERS_8000, sendBatch } from '../support/hostile-records.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'

const RECORDS = 130_000

test('a record with 8,000 headers and a batch of 130,000 records become dead letters', async (t) => {
  const stream = await openStream(t, 'hostile')
  const outputs = followOutputs(t, stream)
  const scorer = await startScorer(t, stream.patientEnvironment(SHORT_SESSION))
  await stream.sendRaw('transactions', 0, [{ key: 'c', value: 'sound', headers: HEADERS_8000 }])
  await sendBatch(stream, 1, emptyRecords(RECORDS))
  await eventually('all are answered', async () => {
    return (await scorer.metric('sluice_dead_letters_total')) === RECORDS + 1
  })
  const events = await simulatedEvents(400)
  await stream.send(events)
  const decided = (): number =>
    outputs.decisionBatches.reduce((sum, { batch }) => sum + batch.decisions.length, 0)
  const wanted = events.filter(({ kind }) => kind === 'transaction').length
  await outputs.until('the payments are decided', () => decided() >= wanted)
  strictEqual(decided(), wanted)
  deepStrictEqual(
    [
      await scorer.metric('sluice_rebalances_total'),
      await scorer.metric('sluice_partition_restarts_total'),
    ],
    [1, 0],
  )
})
