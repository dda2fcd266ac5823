// Goal: P1 and P2 hold when the outcome of a commit is unknown. Method: a scorer whose every request passes a proxy, which breaks
// the connection of each of a commit's requests in turn, before the broker has seen it or when its answer comes; audit by a
// committed reader. The control goes on without starting over: it opens another output and commits the same again.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { isSluiceError } from '../../services/core/errors.ts'
import type { LogClient, LogWriter } from '../../services/platform/kafka/log-client.ts'
import { Cluster } from '../../services/platform/kafka/native/cluster.ts'
import { openLogger } from '../../services/platform/log.ts'
import { loadScorerConfig } from '../../services/scorer/config.ts'
import { openScorer, SCORER_ADAPTERS, type ScorerAdapters } from '../../services/scorer/scorer.ts'
import { audit, type Fault } from '../support/audit.ts'
import { closeWith } from '../support/cleanup.ts'
import { detoured } from '../support/detoured-cluster.ts'
import { openKafkaProxy, type KafkaProxy } from '../support/kafka-proxy.ts'
import { followOutputs } from '../support/outputs.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

const ROUNDS = process.env['SLUICE_FULL'] === '1' ? 40 : 3
const TRANSACTIONS_OF_LOSS = 60
/** TxnOffsetCommit, Produce and EndTxn. */
const COMMIT_KEYS = [28, 0, 26]
const LOSSES = COMMIT_KEYS.flatMap((apiKey) =>
  (['request', 'answer'] as const).map((loss) => ({ apiKey, loss })),
)

/** Commits again what may be committed already. */
async function openCareless(client: LogClient, partition: number): Promise<LogWriter> {
  let writer = await client.openWriter(partition)
  return {
    async commit(...content) {
      for (;;) {
        try {
          await writer.commit(...content)
          return
        } catch (error) {
          if (!isSluiceError(error, 'SLUICE_COMMIT_UNKNOWN')) throw error
          await writer.close()
          writer = await client.openWriter(partition)
        }
      }
    },
    close: () => writer.close(),
  }
}

const CARELESS: ScorerAdapters = {
  ...SCORER_ADAPTERS,
  openLog: async (kind, options) => {
    const client = await SCORER_ADAPTERS.openLog(kind, options)
    return {
      reader: client.reader,
      group: client.group,
      openWriter: (partition) => openCareless(client, partition),
      readLast: (topic, partition) => client.readLast(topic, partition),
      readEnds: (topic, partition) => client.readEnds(topic, partition),
      readRange: (...range) => client.readRange(...range),
      close: () => client.close(),
    }
  },
}

/** Sends all requests of native clients in this process through the proxy. */
function detourAll(t: TestContext, proxy: KafkaProxy): void {
  const sendToAny = Reflect.get<Cluster, 'sendToAny'>(Cluster.prototype, 'sendToAny')
  t.mock.method(
    Cluster.prototype,
    'sendToAny',
    async function (this: Cluster, ...asked: Parameters<typeof sendToAny>) {
      return detoured(await sendToAny.apply(this, asked), proxy)
    },
  )
}

/** Decides a stream while replies are lost. */
async function decideThroughLosses(
  t: TestContext,
  name: string,
  adapters: ScorerAdapters,
): Promise<readonly Fault[]> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const losses = Array.from({ length: ROUNDS }, () => LOSSES).flat()
  const events = await simulatedEvents(losses.length * TRANSACTIONS_OF_LOSS)
  // Nothing else, so that it is a commit of decisions that is hit.
  const transactions = events.filter(({ kind }) => kind === 'transaction')
  const proxy = await openKafkaProxy(stream.brokers[0] ?? '')
  closeWith(t, () => proxy.close())
  detourAll(t, proxy)
  const environment = stream.patientEnvironment({ SLUICE_BATCH_SIZE_MAX: '16' })
  const log = openLogger('lost-replies', 'silent')
  const scorer = await openScorer(loadScorerConfig(environment), log, adapters)
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    await scorer.close()
  }
  closeWith(t, close)
  for (const [turn, { apiKey, loss }] of losses.entries()) {
    proxy.loseNext(apiKey, loss)
    const from = turn * TRANSACTIONS_OF_LOSS
    await stream.send(transactions.slice(from, from + TRANSACTIONS_OF_LOSS))
    await outputs.until(`loss ${turn} of ${losses.length}`, () => outputs.isCaughtUp)
  }
  await close()
  await outputs.readToEnd()
  strictEqual(proxy.broken, losses.length)
  return audit(stream, outputs)
}

test('replies that are lost amid commits leave every decision once', async (t) => {
  deepStrictEqual(await decideThroughLosses(t, 'lost-replies', SCORER_ADAPTERS), [])
})

test('a scorer that goes on without starting over doubles decisions', async (t) => {
  const faults = await decideThroughLosses(t, 'lost-replies-control', CARELESS)
  ok(faults.some(({ promise }) => promise === 'once'))
})
