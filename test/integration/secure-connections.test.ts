// Goal: everything runs against a Kafka and a Redis that let nobody in without TLS, login and rights; the lists of
// rights in infra/security/ are enough, and nothing in them is too much; no secret shows anywhere. Method: a real
// broker and a real Redis with exactly these lists; then each right is taken away in turn, and the work must fail.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import type { Admin, AclEntry } from 'kafkajs'
import { isSluiceError, type ErrorCode } from '../../services/core/errors.ts'
import { createCodecs, type Codecs } from '../../services/core/wire/codecs.ts'
import { EnvReader } from '../../services/platform/config/env-reader.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import {
  loadKafkaConnection,
  type KafkaConnection,
} from '../../services/platform/kafka/kafka-connection.ts'
import {
  createTopics,
  deleteTopics,
  TOPICS,
  topicName,
} from '../../services/platform/kafka/topics.ts'
import { openLogger } from '../../services/platform/log.ts'
import { kafkaProblem, redisProblem } from '../../services/platform/provision/health.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openLaneStore } from '../../services/platform/redis/lane-store.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import {
  loadRedisConnection,
  type RedisConnection,
} from '../../services/platform/redis/redis-connection.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { openKafkaSink } from '../../services/producer/kafka-sink.ts'
import { loadScorerConfig } from '../../services/scorer/config.ts'
import { openScorer } from '../../services/scorer/scorer.ts'
import { readTopicHistory } from '../../services/trainer/index.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { grant, redisCommandsOf, rightsOf, take, wordsOf } from '../support/secure-roles.ts'
import { openSecureServers, type SecureServers } from '../support/secure-servers.ts'

type Environment = Record<string, string>

const ROOT = join(import.meta.dirname, '../..')
const PREFIX = 'secure.'
const GROUP = 'secure-scorer'
const SPARE_PREFIX = 'spare.'
const RETRY = { initialRetryTime: 20, maxRetryTime: 200, retries: 6 } as const

let servers: SecureServers
let admin: Admin
let codecs: Codecs
/** Everything that processes wrote, for the search for secrets. */
const outputs: string[] = []

function kafkaEnv(user: keyof SecureServers['kafkaPasswords']): Environment {
  return {
    SLUICE_KAFKA_BROKERS: servers.sasl,
    SLUICE_KAFKA_TLS: 'true',
    SLUICE_KAFKA_TLS_CA_FILE: servers.files.ca,
    SLUICE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    SLUICE_KAFKA_SASL_USERNAME: `sluice-${user}`,
    SLUICE_KAFKA_SASL_PASSWORD: servers.kafkaPasswords[user],
  }
}

function redisEnv(user: keyof SecureServers['redisPasswords']): Environment {
  return {
    SLUICE_REDIS_URL: servers.redisUrl,
    SLUICE_REDIS_TLS_CA_FILE: servers.files.ca,
    SLUICE_REDIS_TLS_CERT_FILE: servers.files.cert,
    SLUICE_REDIS_TLS_KEY_FILE: servers.files.key,
    SLUICE_REDIS_USERNAME: `sluice-${user}`,
    SLUICE_REDIS_PASSWORD_FILE: servers.file(`redis-${user}`, `${servers.redisPasswords[user]}\n`),
  }
}

function kafkaOf(env: Environment): KafkaConnection {
  const read = new EnvReader(env)
  const connection = loadKafkaConnection(read)
  read.throwIfInvalid()
  return connection
}

function redisOf(env: Environment): RedisConnection {
  const read = new EnvReader(env)
  const connection = loadRedisConnection(read)
  read.throwIfInvalid()
  return connection
}

before(async () => {
  servers = await openSecureServers()
  codecs = createCodecs(await new FileRegistry().load())
  admin = openKafka(kafkaOf(kafkaEnv('admin')), { clientId: 'test-admin', retry: RETRY }).admin()
  await admin.connect()
  for (const role of [
    'scorer',
    'producer',
    'labels-writer',
    'subscriber',
    'trainer',
    'topic-admin',
  ]) {
    await grant(admin, rightsOf(role, PREFIX, GROUP))
  }
})

after(async () => {
  await admin.disconnect()
  await servers.close()
})

/** Does the work once with all rights, and once without each: that must fail, or leave something behind. */
async function eachIsNeeded(rights: readonly AclEntry[], work: () => Promise<void>): Promise<void> {
  ok(rights.length > 0)
  await work()
  for (const right of rights) {
    await take(admin, right)
    await rejects(work, (error) => isClear(error, right), `works without ${wordsOf(right)}`)
    await grant(admin, [right])
  }
  await work()
}

/** A refusal with a remedy, or a topic that is hidden from us, or what the work itself found to be left. */
function isClear(error: unknown, right: AclEntry): boolean {
  const codes: readonly ErrorCode[] = ['SLUICE_ACCESS_DENIED', 'SLUICE_TOPICS_INVALID']
  const isOurs = codes.some((code) => isSluiceError(error, code))
  const isLeft = error instanceof Error && error.message.startsWith('left: ')
  ok(isOurs || isLeft, `${wordsOf(right)}: ${String(error)}`)
  if (isOurs) outputs.push((error as Error).message)
  return true
}

/** Fails when groups of this name are left, and removes them. */
async function noGroupIsLeft(start: string): Promise<void> {
  const { groups } = await admin.listGroups()
  const left = groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith(start))
  if (left.length === 0) return
  await admin.deleteGroups(left)
  throw new Error(`left: ${left.join(', ')}`)
}

async function adminOf(user: keyof SecureServers['kafkaPasswords']): Promise<Admin> {
  const own = openKafka(kafkaOf(kafkaEnv(user)), { clientId: 'test', retry: RETRY }).admin()
  await own.connect()
  return own
}

/** Ends within a limit; what it wrote is kept for the search for secrets. */
async function sluice(
  args: readonly string[],
  env: Environment,
): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'services/cli/main.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, SLUICE_TOPIC_PREFIX: PREFIX, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.err += chunk))
  const [code] = (await once(child, 'close')) as [number]
  outputs.push(text.out, text.err)
  return { code, ...text }
}

test('the topic administrator can make and delete the topics of a stream, and needs each right', async () => {
  const own = await adminOf('topics')
  const options = { partitionCount: 2, replicationFactor: 1 }
  await createTopics(own, PREFIX, options)
  const rights = rightsOf('topic-admin', SPARE_PREFIX, GROUP)
  await grant(admin, rights)
  const names = TOPICS.map((topic) => topicName(SPARE_PREFIX, topic))
  await eachIsNeeded(rights, async () => {
    try {
      await createTopics(own, SPARE_PREFIX, options)
      await deleteTopics(own, SPARE_PREFIX)
    } finally {
      await eventually('the spare topics are gone', async () => {
        const existing = await admin.listTopics()
        const left = names.filter((name) => existing.includes(name))
        // The list may be older than what has been deleted.
        if (left.length > 0) await admin.deleteTopics({ topics: left }).catch(() => undefined)
        return left.length === 0
      })
    }
  })
  await own.disconnect()
})

test('a producer can produce with a login or with a certificate, and needs each right', async () => {
  const simulated = await sluice(
    ['produce', 'simulate', '--count', '300', '--cards', '50', '--flat-out', '--json'],
    kafkaEnv('producer'),
  )
  strictEqual(simulated.code, 0, simulated.err)
  const withCertificate = {
    SLUICE_KAFKA_BROKERS: servers.mtls,
    SLUICE_KAFKA_TLS: 'true',
    SLUICE_KAFKA_TLS_CA_FILE: servers.files.ca,
    SLUICE_KAFKA_TLS_CERT_FILE: servers.files.cert,
    SLUICE_KAFKA_TLS_KEY_FILE: servers.files.key,
  }
  const send = async (env: Environment): Promise<void> => {
    const sink = await openKafkaSink({ ...kafkaOf(env), topicPrefix: PREFIX })
    const timestampMs = Date.now()
    for (const topic of ['transactions', 'labels'] as const) {
      const value = codecs.watermark.encode({ timeMs: 1 })
      await sink.send({ topic, partition: 0, key: null, value, timestampMs })
    }
    await sink.close()
  }
  await send(withCertificate)
  for (const mechanism of ['plain', 'scram-sha-256']) {
    await send({ ...kafkaEnv('producer'), SLUICE_KAFKA_SASL_MECHANISM: mechanism })
  }
  await eachIsNeeded(rightsOf('producer', PREFIX, GROUP), () => send(kafkaEnv('producer')))
})

test('a writer of labels needs one right, and cannot write transactions', async () => {
  const write = async (topic: 'labels' | 'transactions'): Promise<void> => {
    const kafka = openKafka(kafkaOf(kafkaEnv('labels')), { clientId: 'test', retry: RETRY })
    const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: false })
    await producer.connect()
    const value = codecs.watermark.encode({ timeMs: 1 })
    try {
      await producer.send({ topic: topicName(PREFIX, topic), messages: [{ value, partition: 0 }] })
    } finally {
      await producer.disconnect()
    }
  }
  const [right] = rightsOf('labels-writer', PREFIX, GROUP)
  ok(right !== undefined)
  await write('labels')
  await rejects(write('transactions'), /uthoriz/)
  await take(admin, right)
  await rejects(write('labels'), /uthoriz/)
  await grant(admin, [right])
  await write('labels')
})

test('a scorer decides with the rights of its list, and needs each of them', async (t) => {
  const scorer = await startScorer(t, { ...scorerEnv(), SLUICE_LOG_LEVEL: 'debug' })
  await untilDecided()
  ok((await scorer.metric('sluice_decisions_total')) >= 300)
  outputs.push((await scorer.page('/metrics')).body, (await scorer.page('/readyz')).body)
  strictEqual(await scorer.end('SIGTERM'), 0, scorer.log)
  outputs.push(scorer.log)
  await eachIsNeeded(rightsOf('scorer', PREFIX, GROUP), scoreOnce)
})

function scorerEnv(): Environment {
  return {
    ...kafkaEnv('scorer'),
    ...redisEnv('scorer'),
    SLUICE_TOPIC_PREFIX: PREFIX,
    SLUICE_GROUP_ID: GROUP,
    // A stream of its own each time: state is missing, so the log is read again beside the group.
    SLUICE_STREAM_ID: `secure-${randomUUID().slice(0, 8)}`,
    SLUICE_METRICS_PORT: '0',
    SLUICE_BACKEND: 'wasm',
    SLUICE_MODE: 'enforce',
    SLUICE_LOG_LEVEL: 'silent',
  }
}

/** One scorer from its start to the decision of a message that is sent now. */
async function scoreOnce(): Promise<void> {
  const config = loadScorerConfig(scorerEnv())
  const scorer = await openScorer(config, openLogger('test', config.logLevel))
  try {
    await sendTransactions()
    await Promise.race([untilDecided(), scorer.failed.then((error) => Promise.reject(error))])
  } finally {
    await scorer.close()
  }
  await noGroupIsLeft(`${GROUP}-refold-`)
}

/** Something for both lanes, beside a message that can only become a dead letter. */
async function sendTransactions(): Promise<void> {
  const sink = await openKafkaSink({ ...kafkaOf(kafkaEnv('admin')), topicPrefix: PREFIX })
  for (const partition of [0, 1]) {
    const value = Buffer.from('not a transaction')
    const timestampMs = Date.now()
    await sink.send({ topic: 'transactions', partition, key: null, value, timestampMs })
  }
  await sink.close()
}

async function untilDecided(): Promise<void> {
  const topic = topicName(PREFIX, 'transactions')
  await eventually('everything is decided', async () => {
    const ends = await admin.fetchTopicOffsets(topic)
    const [committed] = await admin.fetchOffsets({ groupId: GROUP, topics: [topic] })
    return ends.every(({ partition, high }) =>
      committed?.partitions.some((entry) => entry.partition === partition && entry.offset === high),
    )
  })
}

test('a subscriber reads alerts with the rights of its list, and needs each of them', async () => {
  const kafka = openKafka(kafkaOf(kafkaEnv('admin')), { clientId: 'test', retry: RETRY })
  const producer = kafka.producer()
  await producer.connect()
  await producer.send({ topic: `${PREFIX}alerts`, messages: [{ value: 'no alert', partition: 0 }] })
  await producer.disconnect()
  await eachIsNeeded(rightsOf('subscriber', PREFIX, GROUP), async () => {
    let seen = 0
    await readToEnd(
      {
        ...kafkaOf(kafkaEnv('subscriber')),
        name: 'sluice-alerts-tail',
        topics: [`${PREFIX}alerts`],
        startAt: 'beginning',
      },
      ({ messages }) => {
        seen += messages.length
      },
    )
    ok(seen > 0)
    await noGroupIsLeft('sluice-alerts-tail-')
  })
})

test('a trainer reads its history with the rights of its list, and needs each of them', async () => {
  await eachIsNeeded(rightsOf('trainer', PREFIX, GROUP), async () => {
    const events = await readTopicHistory({
      ...kafkaOf(kafkaEnv('trainer')),
      topicPrefix: PREFIX,
      codecs,
      onProgress: () => undefined,
    })
    ok(events.length >= 300)
    await noGroupIsLeft('sluice-trainer-')
  })
})

test('status and doctor pass with a login that has no rights', async () => {
  const env = { ...kafkaEnv('operator'), ...redisEnv('doctor') }
  const status = await sluice(['status', '--json'], env)
  strictEqual(status.code, 0, status.out + status.err)
  const doctor = await sluice(['doctor', '--json'], env)
  const { findings } = JSON.parse(doctor.out) as {
    findings: { name: string; level: string; seen: string }[]
  }
  for (const name of ['Kafka', 'Redis']) {
    const finding = findings.find((entry) => entry.name === name)
    ok(finding !== undefined && finding.level !== 'fail', JSON.stringify(finding))
    match(finding.seen, /127\.0\.0\.1/)
  }
})

/** Rights of a user in Redis change live, and for connections that stand as well. */
async function eachCommandIsNeeded(
  t: TestContext,
  user: 'scorer' | 'doctor' | 'cleaner',
  work: () => Promise<unknown>,
): Promise<void> {
  const redis = openRedis(redisOf(redisEnv('admin')), {})
  t.after(() => {
    redis.disconnect()
  })
  const commands = redisCommandsOf(`sluice-${user}`)
  ok(commands.length > 0)
  const denied = (error: unknown): boolean => /NOPERM|refuses us|ACL failure/.test(String(error))
  await work()
  for (const command of commands) {
    await redis.script('FLUSH')
    await redis.acl('SETUSER', `sluice-${user}`, `-${command}`)
    await rejects(work, denied, `${user} works without ${command}`)
    await redis.acl('SETUSER', `sluice-${user}`, `+${command}`)
  }
  if (user === 'doctor') return
  await redis.acl('SETUSER', `sluice-${user}`, 'resetkeys', '~other:*')
  await rejects(work, denied, `${user} works without its keys`)
  await redis.acl('SETUSER', `sluice-${user}`, 'resetkeys', '~sluice:{*')
  await work()
}

test('a scorer keeps its state with the commands of its list, and needs each of them', async (t) => {
  await eachCommandIsNeeded(t, 'scorer', async () => {
    const connection = redisOf(redisEnv('scorer'))
    const store = await openLaneStore({
      ...connection,
      streamId: 'secure-store',
      partitionCount: 1,
      onRoundTrip: () => undefined,
      onConnection: () => undefined,
    })
    try {
      // A script is sent as a whole once, and by its hash from then on.
      await store.claim(0, null)
      const epoch = await store.claim(0, null)
      const snapshot = await store.read(0, 1, ['card'], [])
      snapshot.card('card')
      const position = { newestEventMs: 0, watermarkMs: 0, labelWatermarkMs: 0 }
      const progress = { generation: 1, nextOffset: 1, labelNextOffset: 0, ...position }
      const committed = { nextOffset: 0, labelNextOffset: 0 }
      strictEqual(await store.write(0, epoch ?? 0, snapshot, progress, committed), 'written')
    } finally {
      await store.close()
    }
    // How much memory Redis uses is a metric of the scorer.
    const redis = openRedis(connection, { maxRetriesPerRequest: 1, enableReadyCheck: false })
    await redis.info('memory').finally(() => {
      redis.disconnect()
    })
  })
})

test('the doctor and the cleaner need each of their commands', async (t) => {
  await eachCommandIsNeeded(t, 'doctor', async () => {
    const connection = redisOf(redisEnv('doctor'))
    const problem = await redisProblem(connection)
    if (problem !== null) throw problem instanceof Error ? problem : new Error(problem)
    const redis = openRedis(connection, { maxRetriesPerRequest: 1, enableReadyCheck: false })
    await redis.info().finally(() => {
      redis.disconnect()
    })
  })
  await eachCommandIsNeeded(t, 'cleaner', async () => {
    const all = openRedis(redisOf(redisEnv('admin')), {})
    await all.set('sluice:{gone:0}:epoch', '1')
    const own = { maxRetriesPerRequest: 1, enableReadyCheck: false }
    const redis = openRedis(redisOf(redisEnv('cleaner')), own)
    try {
      await deleteStreamState(redis, 'gone')
      strictEqual(await all.exists('sluice:{gone:0}:epoch'), 0)
    } finally {
      redis.disconnect()
      all.disconnect()
    }
  })
})

test('what is wrong with a connection to Kafka is said, with what to do', async () => {
  const good = kafkaEnv('operator')
  const { otherCa, otherCert, otherKey, ca } = servers.files
  const certificates = { ...good, SLUICE_KAFKA_BROKERS: servers.mtls }
  for (const name of Object.keys(certificates).filter((key) => key.includes('SASL'))) {
    certificates[name as keyof typeof certificates] = ''
  }
  const strange = { SLUICE_KAFKA_TLS_CERT_FILE: otherCert, SLUICE_KAFKA_TLS_KEY_FILE: otherKey }
  const plain = { SLUICE_KAFKA_TLS: '', SLUICE_KAFKA_TLS_CA_FILE: '' }
  const noLogin = { ...certificates, SLUICE_KAFKA_BROKERS: servers.sasl }
  const cases: readonly [env: Environment, code: ErrorCode, words: RegExp][] = [
    [
      { ...good, SLUICE_KAFKA_TLS_CA_FILE: otherCa },
      'SLUICE_TLS_FAILED',
      /SLUICE_KAFKA_TLS_CA_FILE/,
    ],
    [{ ...good, SLUICE_KAFKA_SASL_PASSWORD: 'wrong' }, 'SLUICE_ACCESS_DENIED', /password are not/],
    [{ ...good, ...plain }, 'SLUICE_TLS_FAILED', /speaks TLS only; set SLUICE_KAFKA_TLS=true/],
    [noLogin, 'SLUICE_ACCESS_DENIED', /SLUICE_KAFKA_SASL_MECHANISM/],
    [certificates, 'SLUICE_TLS_FAILED', /SLUICE_KAFKA_TLS_CERT_FILE/],
    [{ ...certificates, ...strange }, 'SLUICE_TLS_FAILED', /SLUICE_KAFKA_TLS_CERT_FILE/],
  ]
  ok(ca !== otherCa)
  strictEqual(await kafkaProblem(kafkaOf(good)), null)
  for (const [env, code, words] of cases) {
    const problem = await kafkaProblem(kafkaOf(env))
    ok(isSluiceError(problem, code), String(problem))
    match(problem.message, words)
    outputs.push(problem.message)
  }
})

test('what is wrong with a connection to Redis is said, with what to do', async () => {
  const good = redisEnv('doctor')
  const { otherCa, otherCert, otherKey } = servers.files
  const inUrl = {
    ...good,
    SLUICE_REDIS_USERNAME: '',
    SLUICE_REDIS_PASSWORD_FILE: '',
    SLUICE_REDIS_URL: servers.redisUrl.replace(
      '//',
      `//sluice-doctor:${servers.redisPasswords.doctor}@`,
    ),
  }
  const wrong = { SLUICE_REDIS_PASSWORD_FILE: '', SLUICE_REDIS_PASSWORD: 'wrong' }
  const nobody = { SLUICE_REDIS_USERNAME: '', SLUICE_REDIS_PASSWORD_FILE: '' }
  const strange = { SLUICE_REDIS_TLS_CERT_FILE: otherCert, SLUICE_REDIS_TLS_KEY_FILE: otherKey }
  const plain = { SLUICE_REDIS_URL: servers.redisUrl.replace('rediss', 'redis') }
  const cases: readonly [env: Environment, code: ErrorCode, words: RegExp][] = [
    [
      { ...good, SLUICE_REDIS_TLS_CA_FILE: otherCa },
      'SLUICE_TLS_FAILED',
      /SLUICE_REDIS_TLS_CA_FILE/,
    ],
    [{ ...good, ...wrong }, 'SLUICE_ACCESS_DENIED', /SLUICE_REDIS_PASSWORD/],
    [{ ...good, ...nobody }, 'SLUICE_ACCESS_DENIED', /SLUICE_REDIS_USERNAME/],
    [{ ...good, ...strange }, 'SLUICE_TLS_FAILED', /SLUICE_REDIS_TLS_CERT_FILE/],
    [plain, 'SLUICE_TLS_FAILED', /begin with rediss/],
  ]
  for (const env of [good, inUrl]) strictEqual(await redisProblem(redisOf(env)), null)
  for (const [env, code, words] of cases) {
    const problem = await redisProblem(redisOf(env))
    ok(isSluiceError(problem, code), String(problem))
    match(problem.message, words)
    outputs.push(problem.message)
  }
})

test('a scorer or a command that is refused ends with one clear sentence', async () => {
  const kafka = { ...scorerEnv(), SLUICE_KAFKA_SASL_PASSWORD: servers.kafkaPasswords.admin }
  const redis = { ...scorerEnv(), SLUICE_REDIS_USERNAME: 'sluice-doctor' }
  const produce = ['produce', 'simulate', '--count', '1', '--flat-out']
  for (const [args, env, words] of [
    [['scorer'], kafka, /^Kafka refuses us: user or password/m],
    [['scorer'], redis, /^Redis refuses us: user or password/m],
    [produce, kafkaEnv('operator'), /hides topics|refuses us/],
    [['alerts', 'tail'], kafkaEnv('operator'), /hides topics|refuses us/],
  ] as const) {
    const { code, out, err } = await sluice(args, env)
    strictEqual(code, 1, out + err)
    match(err, words)
    ok(!/^ {4}at /m.test(err), err)
  }
})

test('no secret is in anything that was written', () => {
  ok(outputs.join('').length > 10_000, 'there is something to search')
  const found = servers.secrets.filter((secret) => outputs.some((text) => text.includes(secret)))
  deepStrictEqual(found, [])
})
