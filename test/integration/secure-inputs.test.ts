// Goal: bridge and gateway work with the rights of their roles, and need each of them. Method: as
// secure-acting.test.ts, on a broker of its own; an administrator sends what the team and the scorer would.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { loadBridgeConfig, runBridge } from '../../services/bridge/index.ts'
import { partitionOfText } from '../../services/core/murmur2.ts'
import { loadGatewayConfig, runGateway } from '../../services/gateway/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { authorisation, mappingOf, TOKEN_KEY } from '../support/bridge.ts'
import { GATEWAY_TOKEN, score } from '../support/gateways.ts'
import { openKeptLog } from '../support/kept-log.ts'
import { rightsOf } from '../support/secure-roles.ts'
import {
  openRolesAtWork,
  PARTITION_COUNT,
  runUntilDone,
  whenCounted,
  type RolesAtWork,
} from '../support/secure-roles-at-work.ts'
import { GROUP, kafkaOf, PREFIX, RETRY } from '../support/secure-stage.ts'
import { minimalDecisionBatch, minimalTransaction } from '../unit/core/wire/samples.ts'

const SOURCE = `${PREFIX}acme.payments`
const SOON_MS = 300

let work: RolesAtWork

before(async () => {
  work = await openRolesAtWork(['bridge', 'gateway'])
})

after(() => work.close())

test('a bridge writes and refuses with its documented rights, and needs each of them', async (t) => {
  await makeTopics(work.stage.admin, [{ topic: SOURCE, numPartitions: 1, replicationFactor: 1 }])
  const kafka = openKafka(kafkaOf(work.stage.kafkaEnv('admin')), { clientId: 'team', retry: RETRY })
  const team = kafka.producer({ allowAutoTopicCreation: false })
  await team.connect()
  t.after(() => team.disconnect())
  const mappingFile = work.stage.servers.file('payments.yaml', mappingOf(SOURCE))
  const config = loadBridgeConfig(
    work.environmentOf('bridge', { SLUICE_BRIDGE_TOKEN_KEY: TOKEN_KEY }),
  )
  let count = 0
  await work.stage.eachIsNeeded(rightsOf('bridge', PREFIX, GROUP), async () => {
    const reported = { type: 'CHARGEBACK', reportedAt: '2026-02-01T00:00:00Z' }
    const messages = [authorisation(count), authorisation(count, reported), { type: 'REFUND' }]
    await team.send({
      topic: SOURCE,
      messages: messages.map((message) => ({ value: JSON.stringify(message) })),
    })
    count += 1
    await runUntilDone((signal, done) =>
      runBridge(
        {
          config,
          mappingFile,
          clock: systemClock,
          log: openKeptLog().log,
          onReady: (port) => {
            const written = ['transactions', 'labels'].map(
              (topic) => `sluice_bridge_written_total{topic="${topic}"}`,
            )
            const refused = 'sluice_bridge_refused_total{reason="no_rule"}'
            whenCounted(port, [...written, refused], signal, done)
          },
        },
        signal,
      ),
    )
  })
})

test('a gateway answers with its documented rights, and needs each of them', async () => {
  await work.stage.eachIsNeeded(rightsOf('gateway', PREFIX, GROUP), async () => {
    const { codecs } = work.stage
    const id = randomUUID()
    const transaction = { ...minimalTransaction, id, eventTimeMs: Date.now() }
    const { card, eventTimeMs, amountMinor, currency } = transaction
    const offset = await work.send('transactions', card, codecs.transaction.encode(transaction))
    const batch = codecs.decisionBatch.encode({
      ...minimalDecisionBatch,
      partition: partitionOfText(card, PARTITION_COUNT),
      decidedAtMs: eventTimeMs,
      decisions: [
        {
          ...{ offset, revision: 0, transactionId: id, card, eventTimeMs, amountMinor, currency },
          ...{ outcome: 'approve', score: 0.1, notScored: null, duplicateOfOffset: null },
          ...{ annotations: [], reasons: [], entityAgeMs: null, causeOffset: null },
          ...{ segment: null, rules: [] },
        },
      ],
    })
    await work.send('decisions', card, batch)
    const config = loadGatewayConfig(
      work.environmentOf('gateway', {
        SLUICE_GATEWAY_TOKENS: `authorisations:${GATEWAY_TOKEN}`,
        SLUICE_GATEWAY_PORT: '0',
        SLUICE_GATEWAY_DRAIN_MS: '0',
      }),
    )
    const answers: unknown[] = []
    await runUntilDone((signal, done) =>
      runGateway(
        {
          config,
          clock: systemClock,
          log: openKeptLog().log,
          onReady: ({ http }) => {
            const gateway = { url: `http://127.0.0.1:${http}` }
            void (async () => {
              for (const asked of [transaction, { ...transaction, id: randomUUID() }]) {
                const { body } = await score(gateway, asked, SOON_MS)
                answers.push(body.fallback ? body.fallbackReason : body.offset)
              }
              done()
            })().catch(() => undefined)
          },
        },
        signal,
      ),
    )
    deepStrictEqual(answers, [offset, 'not_decided'])
  })
})

test('no error of a missing right contains a secret', () => {
  const { secrets } = work.stage.servers
  const found = secrets.filter((secret) => work.stage.outputs.some((text) => text.includes(secret)))
  strictEqual(work.stage.outputs.length > 8, true, 'there is something to search')
  deepStrictEqual(found, [])
})
