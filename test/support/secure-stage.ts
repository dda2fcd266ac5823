// A Kafka and a Redis that require TLS, a login and rights, with the rights of every role granted: the base of the
// tests of connections.

import { ok, rejects } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { AclEntry, Admin, RetryOptions } from 'kafkajs'
import { isSluiceError, type ErrorCode } from '../../services/core/errors.ts'
import { type Codecs, createCodecs } from '../../services/core/wire/codecs.ts'
import { EnvReader } from '../../services/platform/config/env-reader.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import {
  loadKafkaConnection,
  type KafkaConnection,
} from '../../services/platform/kafka/kafka-connection.ts'
import {
  loadRedisConnection,
  type RedisConnection,
} from '../../services/platform/redis/redis-connection.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { grant, rightsOf, take, wordsOf } from './secure-roles.ts'
import { openSecureServers, type SecureServers } from './secure-servers.ts'
import { startOf } from './services-build.ts'

export type Environment = Record<string, string>

export const PREFIX = 'secure.'
export const GROUP = 'secure-scorer'
export const RETRY = { initialRetryTime: 20, maxRetryTime: 200, retries: 6 } as const
const ROOT = join(import.meta.dirname, '../..')
const ROLES = ['scorer', 'producer', 'labels-writer', 'subscriber', 'trainer', 'topic-admin']

/** Starts the servers and grants these roles their rights from infra/security/. */
export async function openSecureStage(roles: readonly string[] = ROLES): Promise<SecureStage> {
  const servers = await openSecureServers()
  const stage = new SecureStage(servers, createCodecs(await new FileRegistry().load()))
  await stage.admin.connect()
  for (const role of roles) await grant(stage.admin, rightsOf(role, PREFIX, GROUP))
  return stage
}

/** The servers and their users by role. */
export class SecureStage {
  readonly servers: SecureServers
  readonly codecs: Codecs
  /** An administrator, who may do everything. */
  readonly admin: Admin
  /** The output of all processes, to be searched for secrets. */
  readonly outputs: string[] = []

  constructor(servers: SecureServers, codecs: Codecs) {
    this.servers = servers
    this.codecs = codecs
    const connection = kafkaOf(this.kafkaEnv('admin'))
    this.admin = openKafka(connection, { clientId: 'test-admin', retry: RETRY }).admin()
  }

  async close(): Promise<void> {
    await this.admin.disconnect()
    await this.servers.close()
  }

  kafkaEnv(user: keyof SecureServers['kafkaPasswords']): Environment {
    return {
      SLUICE_KAFKA_BROKERS: this.servers.sasl,
      SLUICE_KAFKA_TLS: 'true',
      SLUICE_KAFKA_TLS_CA_FILE: this.servers.files.ca,
      SLUICE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
      SLUICE_KAFKA_SASL_USERNAME: `sluice-${user}`,
      SLUICE_KAFKA_SASL_PASSWORD: this.servers.kafkaPasswords[user],
      SLUICE_DEAD_LETTER_HMAC_KEY: 'key-of-the-secure-tests',
    }
  }

  redisEnv(user: keyof SecureServers['redisPasswords']): Environment {
    return {
      SLUICE_REDIS_URL: this.servers.redisUrl,
      SLUICE_REDIS_TLS_CA_FILE: this.servers.files.ca,
      SLUICE_REDIS_TLS_CERT_FILE: this.servers.files.cert,
      SLUICE_REDIS_TLS_KEY_FILE: this.servers.files.key,
      SLUICE_REDIS_USERNAME: `sluice-${user}`,
      SLUICE_REDIS_PASSWORD_FILE: this.servers.file(
        `redis-${user}`,
        `${this.servers.redisPasswords[user]}\n`,
      ),
    }
  }

  scorerEnv(): Environment {
    return {
      ...this.kafkaEnv('scorer'),
      ...this.redisEnv('scorer'),
      SLUICE_TOPIC_PREFIX: PREFIX,
      SLUICE_GROUP_ID: GROUP,
      // Each run has its own stream: state is missing, so the log is read again outside the group.
      SLUICE_STREAM_ID: `secure-${randomUUID().slice(0, 8)}`,
      SLUICE_METRICS_PORT: '0',
      SLUICE_BACKEND: 'compiled',
      SLUICE_MODE: 'enforce',
      SLUICE_LOG_LEVEL: 'silent',
    }
  }

  /** Does the work once with all rights, and once without each: that must fail, or leave something behind. */
  async eachIsNeeded(rights: readonly AclEntry[], work: () => Promise<void>): Promise<void> {
    ok(rights.length > 0)
    await work()
    for (const right of rights) {
      await take(this.admin, right)
      await rejects(work, (error) => this.#isClear(error, right), `works without ${wordsOf(right)}`)
      await grant(this.admin, [right])
    }
    await work()
  }

  /** True for a refusal with a remedy, a topic that is hidden from us, or remains that the work itself found. */
  #isClear(error: unknown, right: AclEntry): boolean {
    const codes: readonly ErrorCode[] = ['SLUICE_ACCESS_DENIED', 'SLUICE_TOPICS_INVALID']
    const isOurs = codes.some((code) => isSluiceError(error, code))
    const isLeft = error instanceof Error && error.message.startsWith('left: ')
    ok(isOurs || isLeft, `${wordsOf(right)}: ${String(error)}`)
    if (isOurs) this.outputs.push((error as Error).message)
    return true
  }

  /** Fails when groups with this prefix remain, and removes them. */
  async noGroupIsLeft(start: string): Promise<void> {
    const { groups } = await this.admin.listGroups()
    const left = groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith(start))
    if (left.length === 0) return
    await this.admin.deleteGroups(left)
    throw new Error(`left: ${left.join(', ')}`)
  }

  async adminOf(
    user: keyof SecureServers['kafkaPasswords'],
    retry: RetryOptions = RETRY,
  ): Promise<Admin> {
    const own = openKafka(kafkaOf(this.kafkaEnv(user)), { clientId: 'test', retry }).admin()
    await own.connect()
    return own
  }

  /** Ends within a limit; its output is stored for the search for secrets. */
  async sluice(
    args: readonly string[],
    env: Environment,
  ): Promise<{ code: number; out: string; err: string }> {
    const child = spawn(process.execPath, startOf('services/cli/main.ts', args), {
      cwd: ROOT,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, SLUICE_TOPIC_PREFIX: PREFIX, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const text = { out: '', err: '' }
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text.out += chunk))
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (text.err += chunk))
    const [code] = (await once(child, 'close')) as [number]
    this.outputs.push(text.out, text.err)
    return { code, ...text }
  }
}

/** The connection that an environment describes. */
export function kafkaOf(env: Environment): KafkaConnection {
  const read = new EnvReader(env)
  const connection = loadKafkaConnection(read)
  read.throwIfInvalid()
  return connection
}

/** The connection that an environment describes. */
export function redisOf(env: Environment): RedisConnection {
  const read = new EnvReader(env)
  const connection = loadRedisConnection(read)
  read.throwIfInvalid()
  return connection
}
