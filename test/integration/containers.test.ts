// Goal: tests can run on containers that support transactions, and no container is left behind. Method: a real Docker
// engine where there is one. Otherwise a stand-in answers Docker's HTTP calls and forwards to servers that already run:
// it shows the requests to Docker, not that the images accept them.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { Redis } from 'ioredis'
import kafkajs from 'kafkajs'
import { makeTopics } from '../../services/platform/kafka/topics.ts'
import { composeService } from '../support/containers.ts'
import { closeWith } from '../support/cleanup.ts'
import {
  openDockerStandIn,
  type CreateRequest,
  type DockerStandIn,
  type StandInImage,
} from '../support/docker-stand-in.ts'

const ROOT = join(import.meta.dirname, '../..')

/** Addresses of this run's servers, as targets of a proxy. */
function targetOf(address: string | undefined): { readonly host: string; readonly port: number } {
  const { hostname, port } = new URL(
    address?.includes('://') === true ? address : `tcp://${address ?? ''}`,
  )
  return { host: hostname, port: Number(port) }
}

const KAFKA: StandInImage = {
  name: 'kafka',
  target: targetOf(process.env['SLUICE_KAFKA_BROKERS']?.split(',')[0]),
  logLine: '[KafkaRaftServer nodeId=1] Kafka Server started',
}
const REDIS: StandInImage = {
  name: 'redis',
  target: targetOf(process.env['SLUICE_REDIS_URL']),
  logLine: '* Ready to accept connections tcp',
}

async function standIn(t: TestContext, images: readonly StandInImage[]): Promise<DockerStandIn> {
  const engine = await openDockerStandIn(images)
  closeWith(t, () => engine.close())
  return engine
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

/** In a separate process, since Testcontainers looks for its engine once per process. */
async function runNode(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      SLUICE_KAFKA_BROKERS: undefined,
      SLUICE_REDIS_URL: undefined,
      TESTCONTAINERS_RYUK_DISABLED: 'true',
      ...env,
    },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, output: `${stdout}${stderr}` }
}

/** A run of the tests of one file, by the runner of `npm test`. */
function runTests(filter: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  return runNode(['test/run.ts', 'integration', '--filter', filter], {
    SLUICE_STACK_PROVIDER: 'testcontainers',
    ...env,
  })
}

test('a run asks Docker for Kafka and Redis as in docker-compose.yml, uses them and removes them', async (t) => {
  const engine = await standIn(t, [KAFKA, REDIS])
  const { code, output } = await runNode(['test/support/use-containers.ts'], {
    DOCKER_HOST: engine.url,
  })
  strictEqual(code, 0, output)
  deepStrictEqual(engine.unknown, [])
  const created = new Map(engine.containers.map((each) => [each.created.Hostname, each]))
  deepStrictEqual([...created.keys()].sort(), ['kafka', 'redis'])
  for (const { state } of engine.containers) strictEqual(state, 'removed')

  const kafka = created.get('kafka')?.created as CreateRequest
  strictEqual(kafka.Image, composeService('kafka').image)
  const [binding] = kafka.HostConfig.PortBindings['19092/tcp'] ?? []
  strictEqual(binding?.HostIp, '127.0.0.1')
  const wanted = composeService('kafka', { SLUICE_KAFKA_PORT: binding.HostPort }).environment
  deepStrictEqual(
    Object.fromEntries((kafka.Env ?? []).map((line) => line.split(/=(.*)/s).slice(0, 2))),
    wanted,
  )
  match(wanted['KAFKA_ADVERTISED_LISTENERS'] ?? '', new RegExp(`127.0.0.1:${binding.HostPort}$`))
  strictEqual(wanted['KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR'], '1')

  const redis = created.get('redis')
  strictEqual(redis?.created.Image, composeService('redis').image)
  deepStrictEqual(redis.created.Cmd, composeService('redis').command)
  ok(redis.copiedBytes > 0, 'its settings file was copied')
  match(output, /used 127\.0\.0\.1:\d+ and redis:\/\/127\.0\.0\.1:\d+/)
})

test('when one container does not start, the other is removed and the run fails', async (t) => {
  const engine = await standIn(t, [{ ...KAFKA, target: null }, REDIS])
  const { code, output } = await runNode(['test/support/use-containers.ts'], {
    DOCKER_HOST: engine.url,
  })
  ok(code !== 0)
  match(output, /told to fail/)
  strictEqual(
    engine.containers.find(({ created }) => created.Hostname === 'redis')?.state,
    'removed',
  )
})

test('tests run on containers on request, and the run reports it', async (t) => {
  const engine = await standIn(t, [KAFKA, REDIS])
  const { code, output } = await runTests('partition-transactions', { DOCKER_HOST: engine.url })
  strictEqual(code, 0, output)
  match(output, /servers of this run: Kafka and Redis by testcontainers/)
  match(output, /pass [1-9]/)
  deepStrictEqual(
    engine.containers.map(({ state }) => state),
    ['removed', 'removed'],
  )
})

test('a run on containers without an engine, or with addresses given, fails and says what to do', async () => {
  const nowhere = await runTests('partition-transactions', { DOCKER_HOST: 'tcp://127.0.0.1:9' })
  strictEqual(nowhere.code, 1, nowhere.output)
  match(nowhere.output, /No Docker engine answers.*DOCKER_HOST/)
  const both = await runTests('partition-transactions', { SLUICE_REDIS_URL: 'redis://127.0.0.1:1' })
  strictEqual(both.code, 1, both.output)
  match(both.output, /unset SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL/)
})

test('a run on existing servers reports that it did not run on containers', async (t) => {
  const engine = await standIn(t, [])
  const { code, output } = await runTests('partition-transactions', {
    DOCKER_HOST: engine.url,
    SLUICE_STACK_PROVIDER: undefined,
    SLUICE_KAFKA_BROKERS: process.env['SLUICE_KAFKA_BROKERS'],
    SLUICE_REDIS_URL: process.env['SLUICE_REDIS_URL'],
  })
  strictEqual(code, 0, output)
  match(output, /Kafka by environment, Redis by environment; the tests did not run on containers/)
  deepStrictEqual(engine.containers, [])
})

test('on a real engine Kafka accepts transactions and Redis does not evict', async (t) => {
  const { containerEngine, startContainerStack } = await import('../support/containers-stack.ts')
  if ((await containerEngine()) === null) {
    t.skip('NOT RUN: no Docker engine answers here; the images were not started')
    return
  }
  const stack = await startContainerStack(() => undefined)
  closeWith(t, () => stack.stop())
  const kafka = new kafkajs.Kafka({
    brokers: [...stack.brokers],
    logLevel: kafkajs.logLevel.NOTHING,
  })
  const admin = kafka.admin()
  await admin.connect()
  closeWith(t, () => admin.disconnect())
  await makeTopics(admin, [{ topic: 'probe', numPartitions: 1 }])
  const producer = kafka.producer({
    transactionalId: 'probe',
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'probe', messages: [{ value: 'a' }] })
  await transaction.commit()
  const redis = new Redis(stack.redisUrl)
  closeWith(t, async () => {
    await redis.quit()
  })
  deepStrictEqual(await redis.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'noeviction'])
  deepStrictEqual(await redis.config('GET', 'appendonly'), ['appendonly', 'yes'])
})
