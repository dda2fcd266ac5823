// Bridges that are killed at seeded random points while messages keep coming, and what an independent reader then finds.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { Message } from 'kafkajs'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { readCommitted } from './auditor.ts'
import { metricOf } from './acting.ts'
import { authorisation, openSource, startBridge, type SourceTopic } from './bridge.ts'
import { hasReadAll } from './group-progress.ts'
import { eventually } from './poll.ts'
import { seededNumbers } from './seeded-numbers.ts'
import type { Entry } from './services-build.ts'
import { openStream, SHORT_SESSION, type TestStream } from './streams.ts'

const MESSAGES_PER_SEND = 40
/** Largest time from the first commit of a bridge to its kill. */
const KILL_DELAY_MS_MAX = 250
/** Every so many messages one cannot be mapped, and one is a chargeback. */
const ODD_EVERY = 50

export interface BridgeKills {
  readonly kills: number
  readonly seed: number
  readonly main: Entry
}

/** What the reader found, against what was sent. */
export interface BridgeFindings {
  readonly sent: number
  readonly lost: readonly string[]
  readonly doubled: readonly string[]
}

/** Sends until told to stop; counts what the broker has acknowledged. */
class Feed {
  readonly expected = new Set<string>()
  readonly #source: SourceTopic
  #next = 0

  constructor(source: SourceTopic) {
    this.#source = source
  }

  async sendUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const messages = Array.from({ length: MESSAGES_PER_SEND }, () => this.#message())
      await this.#source.send(messages)
      await sleepMs(2)
    }
  }

  #message(): Message {
    const index = this.#next
    this.#next += 1
    const key = `k-${index}`
    if (index % ODD_EVERY === 1) {
      this.expected.add(`letter ${index}`)
      return {
        key,
        value: JSON.stringify({ type: 'NONE', index }),
        headers: { index: String(index) },
      }
    }
    const message = authorisation(index)
    if (index % ODD_EVERY !== 2) {
      this.expected.add(`transaction p-${index}`)
      return { key, value: JSON.stringify(message) }
    }
    this.expected.add(`label p-${index}`)
    return {
      key,
      value: JSON.stringify({ ...message, type: 'CHARGEBACK', reportedAt: Date.now() }),
    }
  }
}

/** Kills bridges, lets the last one finish, and compares what was sent with what is committed. */
export async function bridgeWithKills(
  t: TestContext,
  { kills, seed, main }: BridgeKills,
): Promise<BridgeFindings> {
  const stream = await openStream(t, 'bridge-kills')
  const source = await openSource(t, stream)
  const feed = new Feed(source)
  const random = seededNumbers(seed)
  const environment = { ...SHORT_SESSION, SLUICE_GROUP_INSTANCE_ID: 'killed' }
  for (let kill = 0; kill < kills; kill += 1) {
    const bridge = await startBridge(t, stream, source, environment, main)
    let isOver = false
    const sending = feed.sendUntil(() => isOver)
    await eventually('it writes', async () => {
      const written = 'sluice_bridge_written_total{topic="transactions"}'
      return (await metricOf(bridge.metricsPort, written)) > 0
    })
    await sleepMs((random() / 2 ** 32) * KILL_DELAY_MS_MAX)
    await bridge.end('SIGKILL')
    isOver = true
    await sending
  }
  const last = await startBridge(t, stream, source, environment)
  const groupId = `${stream.prefix}sluice-bridge-payments`
  await eventually('everything is read', async () => {
    const behind = await metricOf(last.metricsPort, 'sluice_bridge_behind_messages')
    return behind === 0 && (await hasReadAll(stream.admin, groupId, source.name))
  })
  await last.end('SIGTERM')
  return findingsOf(stream, source, feed.expected)
}

async function findingsOf(
  stream: TestStream,
  source: SourceTopic,
  expected: ReadonlySet<string>,
): Promise<BridgeFindings> {
  const topics = (['transactions', 'labels', 'dead-letters'] as const).map((topic) =>
    topicName(stream.prefix, topic),
  )
  const found = new Map<string, number>()
  const indexes = await indexesOf(stream, source)
  for (const { topic, value } of await readCommitted(stream.brokers, topics)) {
    const name = nameOf(stream, indexes, topic, value)
    found.set(name, (found.get(name) ?? 0) + 1)
  }
  return {
    sent: expected.size,
    lost: [...expected].filter((name) => !found.has(name)),
    doubled: [...found]
      .filter(([name, count]) => count > 1 || !expected.has(name))
      .map(([name]) => name),
  }
}

/** The index of each message that cannot be mapped, by its position. */
async function indexesOf(
  stream: TestStream,
  source: SourceTopic,
): Promise<ReadonlyMap<string, number>> {
  const indexes = new Map<string, number>()
  for (const { partition, offset, value } of await readCommitted(stream.brokers, [source.name])) {
    const { index } = JSON.parse(String(value)) as { readonly index?: number }
    if (index !== undefined) indexes.set(`${partition}/${offset}`, index)
  }
  return indexes
}

function nameOf(
  stream: TestStream,
  indexes: ReadonlyMap<string, number>,
  topic: string,
  value: Buffer | null,
): string {
  const { codecs, prefix } = stream
  if (topic === topicName(prefix, 'transactions')) {
    const decoded = codecs.transaction.decode(value)
    return decoded.ok ? `transaction ${decoded.value.id}` : 'no transaction'
  }
  if (topic === topicName(prefix, 'labels')) {
    const decoded = codecs.label.decode(value)
    return decoded.ok ? `label ${decoded.value.transactionId}` : 'no label'
  }
  const decoded = codecs.deadLetter.decode(value)
  if (!decoded.ok) return 'no dead letter'
  return `letter ${indexes.get(`${decoded.value.partition}/${decoded.value.offset}`) ?? 'of nothing'}`
}
