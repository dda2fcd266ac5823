// Goal: a program refused by Kafka or Redis reports the cause and the remedy; the users of Redis need each of their
// commands; no secret is exposed. Method: a real broker and a real Redis, with one fault at a time.

import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../services/core/errors.ts'
import { entityKeyOf } from '../../services/core/features/catalogue/feature-definition.ts'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { createTopics } from '../../services/platform/kafka/topics.ts'
import { kafkaProblem, redisProblem } from '../../tools/servers/health.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openPartitionStore } from '../../services/platform/redis/partition-store.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import { readUntil } from '../support/poll.ts'
import { redisCommandsOf } from '../support/secure-roles.ts'
import {
  kafkaOf,
  openSecureStage,
  PREFIX,
  redisOf,
  type Environment,
  type SecureStage,
} from '../support/secure-stage.ts'

let stage: SecureStage

before(async () => {
  stage = await openSecureStage()
  await createTopics(stage.admin, PREFIX, { partitionCount: 1, replicationFactor: 1 })
})

after(() => stage.close())

/** Retries, since a busy machine may exceed the one second allowed for connecting. */
function answered<Problem>(look: () => Promise<Problem>): Promise<Problem> {
  return readUntil('the server answers', look, (problem) => problem !== 'no answer')
}

interface Finding {
  readonly name: string
  readonly level: string
  readonly seen: string
}

test('status and doctor pass with a login that has no rights', async () => {
  const env = { ...stage.kafkaEnv('operator'), ...stage.redisEnv('doctor') }
  await readUntil(
    'status passes',
    () => stage.sluice(['status', '--json'], env),
    ({ code }) => code === 0,
  )
  const isFine = ({ level, seen }: Finding): boolean =>
    level !== 'fail' && seen.includes('127.0.0.1')
  await readUntil(
    'the doctor finds both',
    async () => {
      const { out } = await stage.sluice(['doctor', '--json'], env)
      const { findings } = JSON.parse(out) as { readonly findings: readonly Finding[] }
      return findings.filter(({ name }) => ['Kafka', 'Redis'].includes(name))
    },
    (findings) => findings.length === 2 && findings.every(isFine),
  )
})

/** Rights of a user in Redis change immediately, also for open connections. */
async function eachCommandIsNeeded(
  t: TestContext,
  user: 'scorer' | 'doctor' | 'cleaner',
  work: () => Promise<unknown>,
): Promise<void> {
  const redis = openRedis(redisOf(stage.redisEnv('admin')), {})
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

test('a scorer stores its state with its documented commands, and needs each of them', async (t) => {
  await eachCommandIsNeeded(t, 'scorer', async () => {
    const connection = redisOf(stage.redisEnv('scorer'))
    const store = await openPartitionStore({
      ...connection,
      streamId: 'secure-store',
      partitionCount: 1,
      answerMsMax: 5_000,
      cacheBytesMax: 2 ** 24,
      onRoundTrip: () => undefined,
      onConnection: () => undefined,
    })
    try {
      // A script is sent in full once, and by its hash from then on.
      await store.claim(0, null)
      const epoch = await store.claim(0, null)
      const position = { newestEventMs: 0, watermarkMs: 0, labelWatermarkMs: 0 }
      const frontier = { nextOffset: 0, labelNextOffset: 0 }
      const status = await store.readStatus(0)
      const from = { generation: epoch ?? 0, ...frontier, ...position }
      const session = store.open(0, epoch ?? 0, status, from, 'rebuild')
      // One value is written whole, one is appended to, and a page of messages is removed.
      for (const [offset, newestEventMs] of [-1, 0, LATENESS_MS + 1].entries()) {
        const reading = await session.read([], [entityKeyOf('terminal', 1)], frontier)
        if (reading.kind !== 'read') throw new Error('The state is not what was left.')
        const { snapshot } = reading
        const progress = { ...from, nextOffset: offset + 1 }
        session.beginFold(snapshot)
        snapshot.ownEntity('terminal', 1).insert(offset, offset, offset, 1)
        if (offset === 0) snapshot.messages?.keep(0, 0, Buffer.from('message'))
        session.endFold(snapshot, progress)
        strictEqual(
          await session.write(snapshot, progress, { ...frontier, newestEventMs }),
          'written',
        )
      }
      strictEqual(await session.switchOver(), 'written')
    } finally {
      await store.close()
    }
    // The scorer reports the memory of Redis as a metric.
    const redis = openRedis(connection, { maxRetriesPerRequest: 1, enableReadyCheck: false })
    await redis.info('memory').finally(() => {
      redis.disconnect()
    })
  })
})

test('the doctor and the cleaner need each of their commands', async (t) => {
  await eachCommandIsNeeded(t, 'doctor', async () => {
    const connection = redisOf(stage.redisEnv('doctor'))
    const problem = await answered(() => redisProblem(connection))
    if (problem !== null) throw problem instanceof Error ? problem : new Error(problem)
    const redis = openRedis(connection, { maxRetriesPerRequest: 1, enableReadyCheck: false })
    await redis.info().finally(() => {
      redis.disconnect()
    })
  })
  await eachCommandIsNeeded(t, 'cleaner', async () => {
    const all = openRedis(redisOf(stage.redisEnv('admin')), {})
    await all.set('sluice:{gone:0}:epoch', '1')
    const own = { maxRetriesPerRequest: 1, enableReadyCheck: false }
    const redis = openRedis(redisOf(stage.redisEnv('cleaner')), own)
    try {
      await deleteStreamState(redis, 'gone')
      strictEqual(await all.exists('sluice:{gone:0}:epoch'), 0)
    } finally {
      redis.disconnect()
      all.disconnect()
    }
  })
})

test('a failed connection to Kafka is reported with its cause and remedy', async () => {
  const good = stage.kafkaEnv('operator')
  const { otherCa, otherCert, otherKey, ca } = stage.servers.files
  const certificates = { ...good, SLUICE_KAFKA_BROKERS: stage.servers.mtls }
  for (const name of Object.keys(certificates).filter((key) => key.includes('SASL'))) {
    certificates[name as keyof typeof certificates] = ''
  }
  const strange = { SLUICE_KAFKA_TLS_CERT_FILE: otherCert, SLUICE_KAFKA_TLS_KEY_FILE: otherKey }
  const plain = { SLUICE_KAFKA_TLS: '', SLUICE_KAFKA_TLS_CA_FILE: '' }
  const noLogin = { ...certificates, SLUICE_KAFKA_BROKERS: stage.servers.sasl }
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
  strictEqual(await answered(() => kafkaProblem(kafkaOf(good))), null)
  for (const [env, code, words] of cases) {
    const problem = await answered(() => kafkaProblem(kafkaOf(env)))
    ok(isSluiceError(problem, code), String(problem))
    match(problem.message, words)
    stage.outputs.push(problem.message)
  }
})

test('a failed connection to Redis is reported with its cause and remedy', async () => {
  const good = stage.redisEnv('doctor')
  const { otherCa, otherCert, otherKey } = stage.servers.files
  const inUrl = {
    ...good,
    SLUICE_REDIS_USERNAME: '',
    SLUICE_REDIS_PASSWORD_FILE: '',
    SLUICE_REDIS_URL: stage.servers.redisUrl.replace(
      '//',
      `//sluice-doctor:${stage.servers.redisPasswords.doctor}@`,
    ),
  }
  const wrong = { SLUICE_REDIS_PASSWORD_FILE: '', SLUICE_REDIS_PASSWORD: 'wrong' }
  const nobody = { SLUICE_REDIS_USERNAME: '', SLUICE_REDIS_PASSWORD_FILE: '' }
  const strange = { SLUICE_REDIS_TLS_CERT_FILE: otherCert, SLUICE_REDIS_TLS_KEY_FILE: otherKey }
  const plain = { SLUICE_REDIS_URL: stage.servers.redisUrl.replace('rediss', 'redis') }
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
  for (const env of [good, inUrl]) {
    strictEqual(await answered(() => redisProblem(redisOf(env))), null)
  }
  for (const [env, code, words] of cases) {
    const problem = await answered(() => redisProblem(redisOf(env)))
    ok(isSluiceError(problem, code), String(problem))
    match(problem.message, words)
    stage.outputs.push(problem.message)
  }
})

test('a scorer or a command that is refused ends with one clear sentence', async () => {
  const kafka = {
    ...stage.scorerEnv(),
    SLUICE_KAFKA_SASL_PASSWORD: stage.servers.kafkaPasswords.admin,
  }
  const redis = { ...stage.scorerEnv(), SLUICE_REDIS_USERNAME: 'sluice-doctor' }
  const produce = ['produce', 'simulate', '--count', '1', '--flat-out']
  for (const [args, env, words] of [
    [['scorer'], kafka, /^Kafka refuses us: user or password/m],
    [['scorer'], redis, /^Redis refuses us: user or password/m],
    [produce, stage.kafkaEnv('operator'), /hides topics|refuses us/],
    [['alerts', 'tail'], stage.kafkaEnv('operator'), /hides topics|refuses us/],
  ] as const) {
    const { code, out, err } = await stage.sluice(args, env)
    strictEqual(code, 1, out + err)
    match(err, words)
    ok(!/^ {4}at /m.test(err), err)
  }
})

test('no secret is in anything that was written', () => {
  ok(stage.outputs.join('').length > 2_000, 'there is something to search')
  const found = stage.servers.secrets.filter((secret) =>
    stage.outputs.some((text) => text.includes(secret)),
  )
  deepStrictEqual(found, [])
})
