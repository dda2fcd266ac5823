// Configuration of the scorer: environment variables to one frozen, checked object.

import type { BreakerLimits } from '../core/policy/policy-document.ts'
import type { MissingRate, RateTable } from '../core/rates/rate-table.ts'
import type { Expectation } from '../core/scoring/scoring-model.ts'
import type { Mode, Outcome } from '../core/wire/records.ts'
import { EnvReader, readGroupId } from '../platform/config/env-reader.ts'
import { readConfiguredRates } from '../platform/config/rates-setting.ts'
import { readDeadLetterKey } from '../platform/config/secrets.ts'
import type { VariableValue } from '../platform/config/variables.ts'
import { loadKafkaConnection, type KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import type { LogFormat, LogLevel } from '../platform/log.ts'
import { readStoreSettings, type StoreSettings } from '../platform/stores/stores.ts'
import { loadRedisConnection, type RedisConnection } from '../platform/redis/redis-connection.ts'

export interface ScorerConfig extends KafkaConnection {
  readonly redis: RedisConnection
  readonly topicPrefix: string
  readonly groupId: string
  /** Static group member id (`group.instance.id`); null for a dynamic member. */
  readonly groupInstanceId: string | null
  readonly kafkaClient: VariableValue<'SLUICE_KAFKA_CLIENT'>
  /** Names this stream in state keys and alert ids. Null derives it from the cluster and the topics. */
  readonly streamId: string | null
  readonly schemaRegistryUrl: string | null
  readonly modelFolder: string | null
  /** Homes of the models and policies that the control topic names. */
  readonly stores: StoreSettings
  /** True when a store of models is configured. */
  readonly hasModelStore: boolean
  readonly backend: VariableValue<'SLUICE_BACKEND'>
  readonly verifyTimeoutMs: VariableValue<'SLUICE_VERIFY_TIMEOUT_MS'>
  readonly scoringThread: VariableValue<'SLUICE_SCORING_THREAD'>
  /** The expected scoring backend. Any other one in use is reported as a fallback. */
  readonly backendExpected: Expectation
  /** The table that converts amounts until the control topic names another one. */
  readonly rates: RateTable
  readonly missingRate: MissingRate
  readonly mode: Mode
  readonly unscoredOutcome: Outcome
  readonly leaseMs: number
  /** Time after a lease's end for which an idle partition waits before it ends the lease. */
  readonly leaseGraceMs: number
  /** Most leases that one partition holds. */
  readonly leasesMax: number
  /** Breakers of the built-in policy. */
  readonly breakers: readonly BreakerLimits[]
  readonly alignment: 'live' | 'aligned'
  readonly batchSizeMax: number
  readonly lateValuesMax: number
  /** Least time between two micro-batches of a partition that are not full; see docs/adr/0007. */
  readonly batchIntervalMs: number
  readonly eventAheadMsMax: number
  /** Longest wait for an answer of Redis before a partition continues without its state. */
  readonly stateTimeoutMs: number
  /** Memory for decoded state of all partitions, MiB. */
  readonly stateCacheMib: number
  readonly sessionTimeoutMs: number
  readonly metrics: { readonly host: string; readonly port: number }
  readonly deadLetterHmacKey: string
  /** True when the key is the development key of this source. */
  readonly hasBuiltInHmacKey: boolean
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly tracing: {
    /** Endpoint that receives spans; null disables tracing. */
    readonly endpoint: string | null
    /** Share of traces that is recorded although their senders do not record them, 0 to 1. */
    readonly sampleRatio: number
  }
}

/** The breakers of a policy that names none. */
export function readBreakers(read: EnvReader): readonly BreakerLimits[] {
  return [
    {
      segment: null,
      windowMs: read.value('SLUICE_BREAKER_WINDOW_MS'),
      blocksPerMinuteMax: read.value('SLUICE_BREAKER_BLOCKS_PER_MINUTE'),
      trafficShareMax: read.value('SLUICE_BREAKER_TRAFFIC_SHARE'),
      valueShareMax: read.value('SLUICE_BREAKER_VALUE_SHARE'),
      sampleMin: read.value('SLUICE_BREAKER_SAMPLE_MIN'),
    },
  ]
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadScorerConfig(env: NodeJS.ProcessEnv): ScorerConfig {
  const read = new EnvReader(env)
  const connection = loadKafkaConnection(read)
  const deadLetter = readDeadLetterKey(read, connection.security !== undefined)
  const topicPrefix = read.value('SLUICE_TOPIC_PREFIX') ?? ''
  const config: ScorerConfig = {
    ...connection,
    redis: loadRedisConnection(read),
    topicPrefix,
    groupId: readGroupId(read, topicPrefix),
    groupInstanceId: read.value('SLUICE_GROUP_INSTANCE_ID'),
    kafkaClient: read.value('SLUICE_KAFKA_CLIENT'),
    streamId: read.value('SLUICE_STREAM_ID'),
    schemaRegistryUrl: read.value('SLUICE_SCHEMA_REGISTRY_URL'),
    modelFolder: read.value('SLUICE_MODEL'),
    stores: readStoreSettings(read),
    hasModelStore: read.isSet('SLUICE_MODEL_STORE'),
    backend: read.value('SLUICE_BACKEND'),
    verifyTimeoutMs: read.value('SLUICE_VERIFY_TIMEOUT_MS'),
    scoringThread: read.value('SLUICE_SCORING_THREAD'),
    backendExpected: read.value('SLUICE_BACKEND_EXPECTED'),
    rates: readConfiguredRates(read),
    missingRate: read.value('SLUICE_MISSING_RATE'),
    mode: read.value('SLUICE_MODE'),
    unscoredOutcome: read.value('SLUICE_UNSCORED_OUTCOME'),
    leaseMs: read.value('SLUICE_LEASE_MS'),
    leaseGraceMs: read.value('SLUICE_LEASE_GRACE_MS'),
    leasesMax: read.value('SLUICE_LEASES_MAX'),
    breakers: readBreakers(read),
    alignment: read.value('SLUICE_ALIGNMENT'),
    batchSizeMax: read.value('SLUICE_BATCH_SIZE_MAX'),
    lateValuesMax: read.value('SLUICE_LATE_VALUES_MAX'),
    batchIntervalMs: read.value('SLUICE_BATCH_INTERVAL_MS'),
    eventAheadMsMax: read.value('SLUICE_EVENT_AHEAD_MS_MAX'),
    stateTimeoutMs: read.value('SLUICE_STATE_TIMEOUT_MS'),
    stateCacheMib: read.value('SLUICE_STATE_CACHE_MIB'),
    sessionTimeoutMs: read.value('SLUICE_SESSION_TIMEOUT_MS'),
    metrics: {
      host: read.value('SLUICE_METRICS_HOST'),
      port: read.value('SLUICE_METRICS_PORT'),
    },
    deadLetterHmacKey: deadLetter.key,
    hasBuiltInHmacKey: deadLetter.isBuiltIn,
    logLevel: read.value('SLUICE_LOG_LEVEL'),
    logFormat: read.value('SLUICE_LOG_FORMAT'),
    tracing: {
      endpoint: read.value('SLUICE_TRACING_ENDPOINT'),
      sampleRatio: read.value('SLUICE_TRACING_SAMPLE_RATIO'),
    },
  }
  const { endpoint } = config.tracing
  read.check(
    endpoint === null || (URL.canParse(endpoint) && /^https?:/.test(endpoint)),
    `SLUICE_TRACING_ENDPOINT="${endpoint ?? ''}" is no address; give one such as http://127.0.0.1:4318.`,
  )
  read.throwIfInvalid()
  return Object.freeze(config)
}
