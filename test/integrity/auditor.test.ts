// Goal: the auditor reads committed messages, independently of the services' own reader. Method: Kafka transactions that
// overlap and are aborted in an order in which kafkajs delivers some of their messages; and outputs with missing
// messages.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { audit } from '../support/audit.ts'
import { readCommitted } from '../support/auditor.ts'
import { closeWith } from '../support/cleanup.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

test('messages of aborted transactions are not read, in any order of their begins and ends', async (t) => {
  const stream = await openStream(t, 'aborted')
  const topic = topicName(stream.prefix, 'alerts')
  const begin = async (name: string) => {
    const producer = stream.kafka.producer({
      transactionalId: `${stream.prefix}${name}`,
      idempotent: true,
      maxInFlightRequests: 1,
    })
    await producer.connect()
    closeWith(t, () => producer.disconnect())
    const transaction = await producer.transaction()
    const send = (value: string) =>
      transaction.send({ topic, messages: [{ key: name, value, partition: 0 }] })
    return { send, commit: () => transaction.commit(), abort: () => transaction.abort() }
  }
  const [first, second] = [await begin('first'), await begin('second')]
  await first.send('10')
  await first.send('11')
  await second.send('20')
  await second.abort()
  await first.abort()
  const third = await begin('third')
  await third.send('30')
  await third.commit()
  const read = await readCommitted(stream.brokers, [topic])
  deepStrictEqual(
    read.map(({ key, value }) => [String(key), String(value)]),
    [['third', '30']],
  )
})

test('an unread message and a label in no decision batch are found', async (t) => {
  const stream = await openStream(t, 'audited')
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(300))
  const scorer = await startScorer(t, stream.environment())
  await outputs.readToEnd()
  await scorer.end('SIGTERM')
  deepStrictEqual(await audit(stream, outputs), [])
  ok(outputs.decisionBatches.length > 0)
  outputs.decisionBatches.pop()
  const { codecs } = stream
  await stream.sendRaw('labels', 0, [{ value: codecs.watermark.encode({ timeMs: 1 }) }])
  const faults = await audit(stream, outputs)
  deepStrictEqual(faults.map(({ promise }) => promise).toSorted(), ['answered', 'reader'])
})
