import { rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { waitForLeader } from '../../../../services/platform/kafka/wait-for-leader.ts'

/** Fails with these errors in turn, then answers; counts its calls. */
function asking(failures: readonly Error[]) {
  let asked = 0
  return {
    count: () => asked,
    ask: (): Promise<string> => {
      const failure = failures[asked]
      asked += 1
      return failure === undefined ? Promise.resolve('here') : Promise.reject(failure)
    },
  }
}

const refusal = (type: string): Error => {
  const error = new kafkajs.KafkaJSProtocolError(new Error(type))
  Object.assign(error, { type })
  return error
}

test('a topic that has no leader yet is asked again until it has one', async () => {
  const { ask, count } = asking([
    refusal('NOT_LEADER_FOR_PARTITION'),
    refusal('LEADER_NOT_AVAILABLE'),
    new kafkajs.KafkaJSConnectionError('the broker has ended', {}),
  ])
  strictEqual(await waitForLeader(ask), 'here')
  strictEqual(count(), 4)
})

test('any other failure comes through at once', async () => {
  for (const failure of [refusal('UNKNOWN_TOPIC_OR_PARTITION'), new Error('away')]) {
    const { ask, count } = asking([failure])
    await rejects(waitForLeader(ask), failure)
    strictEqual(count(), 1)
  }
})
