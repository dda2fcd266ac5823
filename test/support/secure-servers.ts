// A Kafka and a Redis that require TLS, a login and rights: started for one test file on free ports, with new
// certificates and passwords, and removed with their folder afterwards.

import { randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { execFile } from 'node:child_process'
import { fetchJars, fillTemplate } from '../../tools/servers/local-kafka.ts'
import { isListening } from '../../tools/servers/ports.ts'
import { stackPaths } from '../../tools/servers/stack-record.ts'
import { claimPorts } from './claims.ts'
import { eventually } from './poll.ts'
import { openAuthority, type KeyPair } from './test-certificates.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const LOG_CHARACTERS_MAX = 20_000
/** Users of Kafka: `admin` may do everything, the others only what their lists grant. */
const KAFKA_USERS = [
  'admin',
  'scorer',
  'producer',
  'labels',
  'subscriber',
  'trainer',
  'topics',
  'operator',
  'enforcer',
  'receipts',
  'analyst',
  'forward',
  'lake',
  'skew',
  'models',
  'blocks',
  'investigator',
  'bridge',
  'gateway',
] as const
const REDIS_USERS = ['admin', 'scorer', 'doctor', 'cleaner'] as const

type KafkaUser = (typeof KAFKA_USERS)[number]

export interface SecureServers {
  /** Addresses: TLS with SASL, TLS with certificates of the clients, and Redis with both. */
  readonly sasl: string
  readonly mtls: string
  readonly redisUrl: string
  readonly kafkaPasswords: Readonly<Record<KafkaUser, string>>
  readonly redisPasswords: Readonly<Record<(typeof REDIS_USERS)[number], string>>
  /** Paths of PEM files: the authority, an unrelated authority, and our certificate with its key. */
  readonly files: Readonly<
    Record<'ca' | 'otherCa' | 'cert' | 'key' | 'otherCert' | 'otherKey', string>
  >
  /** Writes a file into the servers' folder and returns its path. */
  file(name: string, text: string): string
  /** Every secret in use; none may occur in any output. */
  readonly secrets: readonly string[]
  close(): Promise<void>
}

/** Starts both; resolves when they listen. */
export async function openSecureServers(): Promise<SecureServers> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-secure-'))
  const file = (name: string, text: string): string => {
    const path = join(folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const passwords = <Name extends string>(names: readonly Name[]): Record<Name, string> =>
    Object.fromEntries(names.map((name) => [name, randomBytes(18).toString('hex')])) as Record<
      Name,
      string
    >
  const kafkaPasswords = passwords(KAFKA_USERS)
  const redisPasswords = passwords(REDIS_USERS)
  const [authority, other] = await Promise.all([
    openAuthority('Sluice test'),
    openAuthority('Other'),
  ])
  const [server, client, stranger] = await Promise.all([
    authority.sign('server'),
    authority.sign('sluice-producer'),
    other.sign('sluice-producer'),
  ])
  const files = {
    ca: file('ca.pem', authority.cert),
    otherCa: file('other-ca.pem', other.cert),
    cert: file('client.pem', client.cert),
    key: file('client.key', client.key),
    otherCert: file('stranger.pem', stranger.cert),
    otherKey: file('stranger.key', stranger.key),
  }
  const claim = await claimPorts(4)
  const { ports } = claim
  const [saslPort = 0, mtlsPort = 0, , redisPort = 0] = ports
  const processes: Server[] = []
  const close = async (): Promise<void> => {
    for (const process of processes) await process.end()
    await claim.release()
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const place = { folder, file, ca: files.ca }
    const kafka = startKafka(place, ports, server, kafkaPasswords)
    processes.push(startRedis(place, redisPort, server, redisPasswords))
    processes.push(await kafka)
    for (const process of processes) await process.listening()
  } catch (error) {
    await close()
    throw error
  }
  return {
    sasl: `127.0.0.1:${saslPort}`,
    mtls: `127.0.0.1:${mtlsPort}`,
    redisUrl: `rediss://127.0.0.1:${redisPort}`,
    kafkaPasswords,
    redisPasswords,
    files,
    file,
    secrets: [
      ...Object.values(kafkaPasswords),
      ...Object.values(redisPasswords),
      ...[client, stranger].map(({ key }) => key.split('\n')[1] ?? key),
    ],
    close,
  }
}

interface Server {
  listening(): Promise<void>
  end(): Promise<void>
}

interface ServerPlace {
  readonly folder: string
  /** Writes a file into the folder and returns its path. */
  readonly file: (name: string, text: string) => string
  /** Path of the authority's certificate. */
  readonly ca: string
}

async function startKafka(
  { folder, file, ca }: ServerPlace,
  ports: readonly number[],
  { cert, key }: KeyPair,
  passwords: Readonly<Record<KafkaUser, string>>,
): Promise<Server> {
  const paths = stackPaths(ROOT)
  const jars = await fetchJars('mvn', {
    pomFile: paths.pomFile,
    kafkaFolder: paths.kafkaFolder,
    onProgress: () => undefined,
  })
  const [saslPort = 0, mtlsPort = 0, controllerPort = 0] = ports
  const data = join(folder, 'kafka')
  mkdirSync(data)
  const template = fillTemplate(readFileSync(paths.kafkaTemplate, 'utf8'), {
    BROKER_PORT: '0',
    CONTROLLER_PORT: String(controllerPort),
    DATA_FOLDER: data,
  })
  const listeners = `SASL_SSL://127.0.0.1:${saslPort},MTLS://127.0.0.1:${mtlsPort}`
  const plainUsers = Object.entries(passwords).map(
    ([name, word]) => `user_sluice-${name}="${word}"`,
  )
  // A later line overrides the same setting of the stack.
  const settings = [
    template,
    `listeners=${listeners},CONTROLLER://127.0.0.1:${controllerPort}`,
    `advertised.listeners=${listeners}`,
    'inter.broker.listener.name=MTLS',
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,MTLS:SSL',
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    // The node connects to its own controller without a login, on a port of the loopback interface.
    'super.users=User:ANONYMOUS;User:server;User:sluice-admin',
    'allow.everyone.if.no.acl.found=false',
    'ssl.keystore.type=PEM',
    `ssl.keystore.location=${file('server.pem', key + cert)}`,
    'ssl.truststore.type=PEM',
    `ssl.truststore.location=${ca}`,
    'listener.name.mtls.ssl.client.auth=required',
    'listener.name.mtls.ssl.principal.mapping.rules=RULE:^CN=([a-z-]+)$/$1/',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    'listener.name.sasl_ssl.plain.sasl.jaas.config=' +
      `org.apache.kafka.common.security.plain.PlainLoginModule required ${plainUsers.join(' ')};`,
    ...['256', '512'].map(
      (bits) =>
        `listener.name.sasl_ssl.scram-sha-${bits}.sasl.jaas.config=` +
        'org.apache.kafka.common.security.scram.ScramLoginModule required;',
    ),
    '',
  ].join('\n')
  const settingsFile = file('server.properties', settings)
  const users = Object.entries(passwords).flatMap(([name, word]) =>
    ['256', '512'].flatMap((bits) => [
      '--add-scram',
      `SCRAM-SHA-${bits}=[name=sluice-${name},iterations=4096,password=${word}]`,
    ]),
  )
  const java = [
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-Xshare:auto',
    '-cp',
    join(jars, '*'),
  ]
  const id = randomBytes(16).toString('hex').slice(0, 22)
  const format = ['kafka.tools.StorageTool', 'format', '-t', id, '-c', settingsFile, ...users]
  await run('java', [...java, ...format])
  return startServer('Kafka', saslPort, 'java', ['-Xmx384m', ...java, 'kafka.Kafka', settingsFile])
}

function startRedis(
  { folder, file, ca }: ServerPlace,
  port: number,
  { cert, key }: KeyPair,
  passwords: Readonly<Record<(typeof REDIS_USERS)[number], string>>,
): Server {
  const rules = fillTemplate(readFileSync(join(ROOT, 'infra/security/redis-users.acl'), 'utf8'), {
    SCORER_PASSWORD: passwords.scorer,
    DOCTOR_PASSWORD: passwords.doctor,
    CLEANER_PASSWORD: passwords.cleaner,
  })
  const settings = {
    port: '0',
    bind: '127.0.0.1',
    'tls-port': String(port),
    'tls-cert-file': file('redis.pem', cert),
    'tls-key-file': file('redis.key', key),
    'tls-ca-cert-file': ca,
    'tls-auth-clients': 'yes',
    aclfile: file('users.acl', `${rules}user sluice-admin on >${passwords.admin} ~* +@all\n`),
    'maxmemory-policy': 'noeviction',
    save: '',
    dir: folder,
  }
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
  return startServer('Redis', port, 'redis-server', args)
}

function startServer(name: string, port: number, command: string, args: readonly string[]): Server {
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      log = (log + text).slice(-LOG_CHARACTERS_MAX)
    })
  }
  const exited = once(child, 'exit')
  return {
    listening: () =>
      eventually(`${name} listens on ${port}`, async () => {
        if (child.exitCode !== null) throw new Error(`${name} ended:\n${log}`)
        return isListening(port)
      }),
    async end() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
