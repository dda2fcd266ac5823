// Configuration of the scorer: environment variables to one frozen, checked object.

import { BACKENDS } from '../core/scoring/scoring-model.ts'
import { MODES, OUTCOMES, type Mode, type Outcome } from '../core/wire/records.ts'
import { EnvReader } from '../platform/config/env-reader.ts'
import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../platform/log.ts'

const BACKEND_CHOICES = ['auto', ...BACKENDS] as const
const UNSAFE_SWITCHES = ['none', 'no-transactions', 'no-fence'] as const

export interface ScorerConfig {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly topicPrefix: string
  readonly groupId: string
  /** Names this stream in state keys and alert ids; null means derived from the cluster and the topics. */
  readonly streamId: string | null
  readonly schemaRegistryUrl: string | null
  readonly modelFolder: string | null
  readonly backend: (typeof BACKEND_CHOICES)[number]
  readonly mode: Mode
  readonly unscoredOutcome: Outcome
  readonly leaseMs: number
  readonly alignment: 'live' | 'aligned'
  readonly batchSizeMax: number
  /** Least time between two micro-batches of a lane that are not full; see docs/adr/0007. */
  readonly batchIntervalMs: number
  readonly eventAheadMsMax: number
  readonly sessionTimeoutMs: number
  readonly metrics: { readonly host: string; readonly port: number }
  readonly deadLetterHmacKey: string
  readonly logLevel: LogLevel
  readonly logFormat: LogFormat
  readonly tracing: {
    /** Where spans are sent; null means that nothing is traced. */
    readonly endpoint: string | null
    /** Share of traces that is recorded although their senders do not record them, 0 to 1. */
    readonly sampleRatio: number
  }
  /** Switches a guard off; only for the controls of the integrity suite. */
  readonly unsafe: (typeof UNSAFE_SWITCHES)[number]
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming every bad variable. */
export function loadScorerConfig(env: NodeJS.ProcessEnv): ScorerConfig {
  const read = new EnvReader(env)
  const config: ScorerConfig = {
    brokers: read.list('SLUICE_KAFKA_BROKERS', { default: ['127.0.0.1:19092'] }),
    redisUrl: read.string('SLUICE_REDIS_URL', { default: 'redis://127.0.0.1:16379' }),
    topicPrefix: read.string('SLUICE_TOPIC_PREFIX', { default: '' }),
    groupId: read.string('SLUICE_GROUP_ID', { default: 'sluice-scorer' }),
    streamId: read.optionalString('SLUICE_STREAM_ID'),
    schemaRegistryUrl: read.optionalString('SLUICE_SCHEMA_REGISTRY_URL'),
    modelFolder: read.optionalString('SLUICE_MODEL'),
    backend: read.choice('SLUICE_BACKEND', BACKEND_CHOICES, { default: 'auto' }),
    mode: read.choice('SLUICE_MODE', MODES, { default: 'flag' }),
    unscoredOutcome: read.choice('SLUICE_UNSCORED_OUTCOME', OUTCOMES, { default: 'flag' }),
    leaseMs: read.integer('SLUICE_LEASE_MS', {
      default: 86_400_000,
      min: 60_000,
      max: 2_592_000_000,
    }),
    alignment: read.choice('SLUICE_ALIGNMENT', ['live', 'aligned'], { default: 'live' }),
    batchSizeMax: read.integer('SLUICE_BATCH_SIZE_MAX', { default: 512, min: 1, max: 4_096 }),
    batchIntervalMs: read.integer('SLUICE_BATCH_INTERVAL_MS', { default: 25, min: 0, max: 1_000 }),
    eventAheadMsMax: read.integer('SLUICE_EVENT_AHEAD_MS_MAX', {
      default: 3_600_000,
      min: 0,
      max: 31_536_000_000,
    }),
    sessionTimeoutMs: read.integer('SLUICE_SESSION_TIMEOUT_MS', {
      default: 6_000,
      min: 1_000,
      max: 300_000,
    }),
    metrics: {
      host: read.string('SLUICE_METRICS_HOST', { default: '127.0.0.1' }),
      port: read.integer('SLUICE_METRICS_PORT', { default: 9_464, min: 0, max: 65_535 }),
    },
    deadLetterHmacKey: read.string('SLUICE_DEAD_LETTER_HMAC_KEY', {
      default: 'sluice-development',
    }),
    logLevel: read.choice('SLUICE_LOG_LEVEL', LOG_LEVELS, { default: 'info' }),
    logFormat: read.choice('SLUICE_LOG_FORMAT', LOG_FORMATS, { default: 'auto' }),
    tracing: {
      endpoint: read.optionalString('SLUICE_TRACING_ENDPOINT'),
      sampleRatio: read.number('SLUICE_TRACING_SAMPLE_RATIO', { default: 0.01, min: 0, max: 1 }),
    },
    unsafe: read.choice('SLUICE_UNSAFE', UNSAFE_SWITCHES, { default: 'none' }),
  }
  read.check(
    config.unscoredOutcome !== 'block',
    'SLUICE_UNSCORED_OUTCOME="block" would block without a score; use approve or flag.',
  )
  const { endpoint } = config.tracing
  read.check(
    endpoint === null || (URL.canParse(endpoint) && /^https?:/.test(endpoint)),
    `SLUICE_TRACING_ENDPOINT="${endpoint ?? ''}" is no address; give one such as http://127.0.0.1:4318.`,
  )
  read.throwIfInvalid()
  return Object.freeze(config)
}
