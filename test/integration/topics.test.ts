// Goal: `sluice topics` creates missing topics, changes nothing else, and refuses another partition count. Method: the
// command line against the broker of the environment; a client of the test reads the topics back. `sluice schemas
// register`, the other step that runs once before the services, runs against a registry of the test.

import { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import kafkajs, { Kafka, logLevel, type Admin } from 'kafkajs'
import {
  TOPICS,
  deleteTopics,
  makeTopics,
  partitionCountOf,
} from '../../services/platform/kafka/topics.ts'
import { ROOT } from '../support/dockerfile.ts'
import { readUntil } from '../support/poll.ts'
import { startOf } from '../support/services-build.ts'
import { openLocalRegistry } from '../unit/platform/registry/local-registry.ts'

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
if (brokersText === '') {
  throw new Error('SLUICE_KAFKA_BROKERS is not set; run this suite with npm run test:integration.')
}

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function sluice(
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, startOf('services/cli/main.ts', args), {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...variables },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

interface Bench {
  readonly prefix: string
  readonly admin: Admin
  topics(args: readonly string[]): Promise<Ended>
  /** Partition counts of the topics that exist, without the prefix. */
  counts(): Promise<Readonly<Record<string, number>>>
}

async function openBench(t: TestContext): Promise<Bench> {
  const prefix = `test-topics-${randomUUID().slice(0, 8)}.`
  const admin = new Kafka({ brokers: brokersText.split(','), logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.after(async () => {
    await deleteTopics(admin, prefix)
    await admin.disconnect()
  })
  return {
    prefix,
    admin,
    topics: (args) => sluice(['topics', ...args, '--topic-prefix', prefix]),
    async counts() {
      const names = (await admin.listTopics()).filter((name) => name.startsWith(prefix))
      const { topics } = await admin.fetchTopicMetadata({ topics: names })
      return Object.fromEntries(
        topics.map(({ name, partitions }) => [name.slice(prefix.length), partitions.length]),
      )
    },
  }
}

const withCount = (count: number): Readonly<Record<string, number>> =>
  Object.fromEntries(TOPICS.map((topic) => [topic, partitionCountOf(topic, count)]))

test('topics are created with the requested partition count, and a second run changes nothing', async (t) => {
  const bench = await openBench(t)
  const missing = await bench.topics(['check'])
  strictEqual(missing.code, 1)
  match(missing.stderr, /Topics are missing: .*transactions.*SLUICE_TOPICS_INVALID/)
  for (const args of [
    ['create', '--partitions', '3'],
    ['create', '--partitions', '3'],
    ['create'],
  ]) {
    const { code, stderr } = await bench.topics(args)
    strictEqual(code, 0, stderr)
    deepStrictEqual(await bench.counts(), withCount(3))
  }
  const checked = await bench.topics(['check', '--partitions', '3', '--json'])
  strictEqual(checked.code, 0, checked.stderr)
  strictEqual((JSON.parse(checked.stdout) as { partitionCount: number }).partitionCount, 3)
  const { durability } = JSON.parse(checked.stdout) as {
    readonly durability: readonly { readonly replicas: number; readonly isUnclean: boolean }[]
  }
  deepStrictEqual(
    durability.map(({ replicas, isUnclean }) => [replicas, isUnclean]),
    TOPICS.map(() => [1, false]),
  )
})

test('a topic that may elect a leader without its newest messages fails the check', async (t) => {
  const bench = await openBench(t)
  await bench.topics(['create'])
  const name = `${bench.prefix}decisions`
  await bench.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name,
        configEntries: [{ name: 'unclean.leader.election.enable', value: 'true' }],
      },
    ],
  })
  // Kafka's controller answers before the broker that is asked has the change.
  const { stderr } = await readUntil(
    'the check sees it',
    () => bench.topics(['check']),
    ({ code }) => code === 1,
  )
  match(stderr, /decisions: a broker without the newest messages.*SLUICE_TOPICS_INVALID/)
})

test('both commands refuse another partition count, and change nothing', async (t) => {
  const bench = await openBench(t)
  await bench.topics(['create', '--partitions', '2'])
  for (const command of ['create', 'check']) {
    const { code, stderr } = await bench.topics([command, '--partitions', '4'])
    strictEqual(code, 1)
    match(stderr, /other partition counts than 4 .*transactions 2.*SLUICE_TOPICS_INVALID/)
  }
  deepStrictEqual(await bench.counts(), withCount(2))
})

test('a missing topic gets the partition count of the existing ones', async (t) => {
  const bench = await openBench(t)
  await makeTopics(bench.admin, [{ topic: `${bench.prefix}transactions`, numPartitions: 5 }])
  const { code, stderr } = await bench.topics(['create'])
  strictEqual(code, 0, stderr)
  deepStrictEqual(await bench.counts(), withCount(5))
})

test('an unreachable broker is named, and the exit code is that of a failed run', async () => {
  const { code, stderr } = await sluice(['topics', 'check', '--brokers', '127.0.0.1:1'])
  strictEqual(code, 1)
  match(stderr, /127\.0\.0\.1:1 does not answer.*SLUICE_BROKER_UNAVAILABLE/)
})

test('schemas are registered once, and a second run adds none', async () => {
  await using registry = await openLocalRegistry()
  const variables = { SLUICE_SCHEMA_REGISTRY_URL: registry.url }
  const counts: number[] = []
  for (let run = 0; run < 2; run += 1) {
    const { code, stdout, stderr } = await sluice(['schemas', 'register', '--json'], variables)
    strictEqual(code, 0, stderr)
    strictEqual((JSON.parse(stdout) as { registered: number }).registered, registry.schemas.size)
    counts.push(registry.schemas.size)
  }
  strictEqual(counts[0], counts[1])
})

test('registering without a registry is refused with the name of the variable', async () => {
  const { code, stderr } = await sluice(['schemas', 'register'], { SLUICE_SCHEMA_REGISTRY_URL: '' })
  strictEqual(code, 2)
  match(stderr, /SLUICE_SCHEMA_REGISTRY_URL is not set/)
})
