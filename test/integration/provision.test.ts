// Goal: Kafka and Redis start whatever an earlier run left behind, and nothing is left running afterwards. Method: real
// servers as local processes, in a folder of the test's own.

import {
  deepStrictEqual,
  match,
  notStrictEqual,
  ok,
  rejects,
  strictEqual,
} from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import {
  provisionStack,
  stopStack,
  type ProvisionOptions,
  type Stack,
} from '../../tools/servers/stack.ts'
import { stackStatus } from '../../tools/servers/stack-choice.ts'
import { kafkaAnswers, redisAnswers } from '../../tools/servers/health.ts'
import { jarsFolder } from '../../tools/servers/local-kafka.ts'
import { findPrerequisite, thisMachine } from '../../tools/servers/prerequisites.ts'
import { runProgram } from '../../tools/servers/run-program.ts'
import { isAlive } from '../../services/platform/process-identity.ts'
import {
  stackPaths,
  readRecord,
  writeRecord,
  type ServerRecord,
} from '../../tools/servers/stack-record.ts'
import { eventually, readUntil } from '../support/poll.ts'

const root = join(import.meta.dirname, '../..')
const env: NodeJS.ProcessEnv = {
  ...process.env,
  SLUICE_KAFKA_BROKERS: undefined,
  SLUICE_REDIS_URL: undefined,
  SLUICE_STACK_PROVIDER: 'local',
}

const stateFolders = new Set<string>()
// A test run that is interrupted must not leave servers behind either.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    const stops = [...stateFolders].map((folder) => stopStack(root, () => undefined, folder))
    void Promise.allSettled(stops).then(() => process.exit(1))
  })
}

interface Bench {
  readonly stateFolder: string
  readonly lines: string[]
  readonly recordFile: string
  up(options?: Partial<ProvisionOptions>): Promise<Stack>
  kafka(): ServerRecord
  redis(): ServerRecord
}

function makeBench(t: TestContext): Bench {
  const stateFolder = mkdtempSync(join(tmpdir(), 'sluice-stack-'))
  stateFolders.add(stateFolder)
  const { kafkaFolder, pomFile, recordFile } = stackPaths(root, stateFolder)
  const fetched = jarsFolder(pomFile, stackPaths(root).kafkaFolder)
  mkdirSync(kafkaFolder, { recursive: true })
  // Jars that are already there need not be fetched again.
  if (existsSync(fetched)) symlinkSync(fetched, jarsFolder(pomFile, kafkaFolder))
  const lines: string[] = []
  const onProgress = (line: string): void => {
    lines.push(line)
  }
  t.after(async () => {
    await stopStack(root, () => undefined, stateFolder)
    rmSync(stateFolder, { recursive: true, force: true })
  })
  const server = (name: 'kafka' | 'redis'): ServerRecord => {
    const record = readRecord(recordFile)[name]
    ok(record, `${name} is recorded`)
    return record
  }
  return {
    stateFolder,
    lines,
    recordFile,
    up: (options) => provisionStack({ root, stateFolder, env, onProgress, ...options }),
    kafka: () => server('kafka'),
    redis: () => server('redis'),
  }
}

function processOf(record: ServerRecord): NonNullable<ServerRecord['process']> {
  ok(record.process)
  return record.process
}

async function assertAnswers(stack: Stack): Promise<void> {
  // One check has a second to connect, which a busy machine may exceed.
  await eventually('Kafka answers', () => kafkaAnswers(stack.kafka.brokers))
  await eventually('Redis answers', () => redisAnswers(stack.redis.url))
}

test('the last user to leave stops the servers, and none is left running', async (t) => {
  const bench = makeBench(t)
  const first = await bench.up()
  strictEqual(first.startedHere, true)
  await assertAnswers(first)
  const processes = [processOf(bench.kafka()), processOf(bench.redis())]
  const second = await bench.up()
  strictEqual(second.startedHere, false)
  deepStrictEqual(second.kafka, first.kafka)
  await first.stop()
  await assertAnswers(second)
  await second.stop()
  deepStrictEqual(processes.map(isAlive), [false, false])
  strictEqual(existsSync(bench.recordFile), false)
})

test('servers started to stay outlive their users, until they are stopped', async (t) => {
  const bench = makeBench(t)
  await bench.up({ keep: true })
  const user = await bench.up()
  await user.stop()
  await assertAnswers(user)
  const status = await readUntil(
    'both are up',
    () => stackStatus(root, env, bench.stateFolder),
    ({ kafka, redis }) => kafka.state === 'up' && redis.state === 'up',
  )
  deepStrictEqual([status.kafka.state, status.redis.state, status.kept], ['up', 'up', true])
  const kafka = processOf(bench.kafka())
  strictEqual(await stopStack(root, () => undefined, bench.stateFolder), true)
  strictEqual(isAlive(kafka), false)
  strictEqual(await stopStack(root, () => undefined, bench.stateFolder), false)
})

test('two stacks that start at the same moment have servers of their own', async (t) => {
  const benches = [makeBench(t), makeBench(t)]
  const stacks = await Promise.all(benches.map((bench) => bench.up()))
  for (const stack of stacks) await assertAnswers(stack)
  const servers = benches.flatMap((bench) => [bench.kafka(), bench.redis()])
  const ports = servers.flatMap((server) => server.ports)
  strictEqual(new Set(ports).size, ports.length, `ports ${ports.join(', ')}`)
  deepStrictEqual(servers.map(processOf).map(isAlive), [true, true, true, true])
})

test('a killed Kafka and a stopped Redis are replaced; their data stays', async (t) => {
  const bench = makeBench(t)
  await bench.up({ keep: true })
  const [kafka, redis] = [processOf(bench.kafka()), processOf(bench.redis())]
  const clusterId = readFileSync(join(bench.stateFolder, 'kafka/data/meta.properties'), 'utf8')
  process.kill(kafka.pid, 'SIGKILL')
  process.kill(redis.pid, 'SIGSTOP')
  const again = await bench.up()
  strictEqual(again.startedHere, true)
  await assertAnswers(again)
  deepStrictEqual([isAlive(kafka), isAlive(redis)], [false, false])
  notStrictEqual(processOf(bench.kafka()).pid, kafka.pid)
  strictEqual(
    readFileSync(join(bench.stateFolder, 'kafka/data/meta.properties'), 'utf8'),
    clusterId,
  )
})

test('a data folder that Kafka cannot start from is moved aside and reported', async (t) => {
  const bench = makeBench(t)
  await (await bench.up()).stop()
  writeFileSync(join(bench.stateFolder, 'kafka/data/meta.properties'), 'version=9\nnonsense')
  await assertAnswers(await bench.up())
  match(bench.lines.join('\n'), /Kafka: cannot start from .*moved to .*data\.broken/)
  strictEqual(existsSync(join(bench.stateFolder, 'kafka/data.broken')), true)
})

test('a record that names the pid of another process ends no process', async (t) => {
  const bench = makeBench(t)
  const server: ServerRecord = {
    provider: 'local',
    process: { pid: process.pid, startTime: 'long ago' },
    ports: [1],
    configHash: '',
  }
  writeRecord(bench.recordFile, { kept: true, users: [], kafka: server, redis: server })
  const stack = await bench.up()
  await assertAnswers(stack)
  // The request of an earlier `sluice up` ended with its servers.
  await stack.stop()
  strictEqual(existsSync(bench.recordFile), false)
})

test('two concurrent starts result in one Kafka and one Redis', async (t) => {
  const bench = makeBench(t)
  const [one, two] = await Promise.all([bench.up(), bench.up()])
  deepStrictEqual(one.kafka, two.kafka)
  deepStrictEqual(one.redis, two.redis)
  deepStrictEqual([one.startedHere, two.startedHere].sort(), [false, true])
  await Promise.all([one.stop(), two.stop()])
})

test('a port in use is skipped', async (t) => {
  const bench = makeBench(t)
  const other = createServer()
  t.after(() => other.close())
  // Another process may already hold the port, which has the same effect.
  await new Promise((resolve) => {
    other.once('listening', resolve)
    other.once('error', resolve)
    other.listen(16_379, '127.0.0.1')
  })
  const stack = await bench.up()
  notStrictEqual(stack.redis.url, 'redis://127.0.0.1:16379')
  match(bench.lines.join('\n'), /Redis: port 16379 is used by something else, so \d+ is taken/)
  await assertAnswers(stack)
})

test('an interrupted start leaves nothing running', async (t) => {
  const bench = makeBench(t)
  const controller = new AbortController()
  const started: ServerRecord[] = []
  const onProgress = (line: string): void => {
    if (!/Redis: ready/.test(line)) return
    started.push(bench.redis())
    controller.abort(new Error('enough'))
  }
  await rejects(bench.up({ onProgress, signal: controller.signal }), /enough/)
  strictEqual(started.length, 1)
  for (const record of started) strictEqual(isAlive(processOf(record)), false)
  deepStrictEqual(readRecord(bench.recordFile).kafka, null)
})

test('addresses in the environment are used as they are, and must answer', async (t) => {
  const bench = makeBench(t)
  const local = await bench.up()
  const given = await bench.up({
    env: {
      SLUICE_KAFKA_BROKERS: local.kafka.brokers.join(','),
      SLUICE_REDIS_URL: local.redis.url,
    },
  })
  deepStrictEqual([given.kafka.provider, given.redis.provider], ['environment', 'environment'])
  await given.stop()
  await assertAnswers(local)
})

test("brokers of a run take Kafka's classes from the archive of the run", async (t) => {
  const options = process.env['JDK_JAVA_OPTIONS']
  if (options?.includes('SharedArchiveFile') !== true) {
    t.skip('this run has no archive: its servers are given, or its Java makes none')
    return
  }
  const { pomFile, kafkaFolder } = stackPaths(root)
  const java = await findPrerequisite('java', thisMachine(process.env))
  const sharedClasses = async (given: string | undefined): Promise<number> => {
    const print = ['kafka.tools.StorageTool', 'random-uuid']
    const classpath = join(jarsFolder(pomFile, kafkaFolder), '*')
    const args = ['-XX:+UseSerialGC', '-Xlog:class+load', '-cp', classpath, ...print]
    const more = { limitMs: 60_000, env: { JDK_JAVA_OPTIONS: given } }
    const { code, output } = await runProgram(java ?? 'java', args, more)
    strictEqual(code, 0, output)
    return output.match(/source: shared objects file \(top\)/g)?.length ?? 0
  }
  // Without the option the JVM reads the jars, so the count tells the two apart.
  strictEqual(await sharedClasses(undefined), 0)
  ok((await sharedClasses(options)) > 0)
})
