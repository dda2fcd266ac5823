// Variables of the stream, its state, decisions, promotion of policies, and blocks.

import { MISSING_RATE_ANSWERS } from '../../core/rates/rate-table.ts'
import { BACKENDS, EXPECTATIONS, SCORING_THREADS } from '../../core/scoring/scoring-model.ts'
import { MODES } from '../../core/wire/records.ts'
import type { Variable } from './variable.ts'

const STREAM = { group: 'Streams' } as const
const STATE = { group: 'State' } as const
const DECIDING = { group: 'Decisions' } as const

export const SCORING_VARIABLES = {
  SLUICE_TOPIC_PREFIX: {
    ...STREAM,
    readBy: 'all',
    meaning: 'Prefix of the name of every topic, so that several streams can share a cluster.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_GROUP_ID: {
    ...STREAM,
    readBy: 'scorer, audit, breaker, policy',
    meaning:
      'Consumer group; scorers of one group share the partitions. Part of the transactional ids. Without it, the topic prefix and `sluice-scorer`: each stream has its own.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_GROUP_INSTANCE_ID: {
    ...STREAM,
    readBy: 'scorer, bridge',
    meaning:
      'Name of this scorer within the group, which stays the same when it restarts, such as the name of its pod. If it restarts within the session time-out, it continues with its partitions at once. Without it, a killed scorer is replaced after the session time-out. Native client only.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_STREAM_ID: {
    ...STREAM,
    readBy: 'scorer',
    meaning:
      'Names the stream in Redis keys and alert ids. Without it, it is derived from the ids of the cluster and of the transactions topic, so that topics that were created again are another stream. Give another name when you create the topics again.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_SCHEMA_REGISTRY_URL: {
    ...STREAM,
    readBy:
      'scorer, alerts, producer, bridge, skew, enforce, receipts, cases, queue, label, gateway, forwarder, lake',
    meaning:
      "Schema registry with Confluent's API. Without it, ids come from `schemas/registry.json`.",
    kind: 'text',
    form: 'URL',
    default: null,
  },
  SLUICE_FEATURES: {
    ...DECIDING,
    readBy: 'all',
    meaning:
      'Catalogue of features, a YAML file (`sluice features list --yaml` prints one). Without it, the shipped catalogue. All processes of a stream need the same one, and a model that was trained with it.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_MODEL: {
    ...DECIDING,
    readBy: 'scorer, policy, replay',
    meaning: 'Folder of the model. Without it, `models/simulator`.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_MODEL_STORE: {
    ...DECIDING,
    readBy: 'scorer, model, policy, list, replay',
    meaning:
      'Home of the models that the control topic names: a folder, or `topic` for the topic `artifacts`. Without it, the folder `.sluice/models` (docs/stores.md).',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_POLICY_STORE: {
    ...DECIDING,
    readBy: 'scorer, policy, list, replay',
    meaning:
      'Home of the policies and lists that the control topic names, in the same form. Without it, that of the models.',
    kind: 'text',
    form: 'text',
    default: null,
  },
  SLUICE_STORE_CACHE: {
    ...DECIDING,
    readBy: 'scorer, model, policy, replay',
    meaning:
      'Folder of the models that were read from another store than a folder; the newest 8 are kept. Without it, `.sluice/store-cache`.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_RATES: {
    ...DECIDING,
    readBy:
      'scorer, skew, replay, explain, trainer, evaluate, backtest, model, dead-letters, cases, queue, rates',
    meaning:
      'File with the table of exchange rates, which names the reference currency ([money.md](money.md)). Without it, a table of round example numbers to the euro.',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_MISSING_RATE: {
    ...DECIDING,
    readBy: 'scorer, dead-letters',
    meaning:
      'What becomes of a transaction whose currency has no rate at its time: a dead letter (`unknown_currency`), or a decision without the features of its amount (`no_rate`).',
    kind: 'choice',
    words: MISSING_RATE_ANSWERS,
    default: 'dead_letter',
  },
  SLUICE_FAIRNESS_RULE: {
    ...DECIDING,
    readBy: 'model, policy',
    meaning:
      'JSON file with the rule of the fairness gate. With it no model is activated unless the gate is passed or overridden. Promotion of policies uses it too, or the default rule without it (docs/models.md).',
    kind: 'text',
    form: 'path',
    default: null,
  },
  SLUICE_BACKEND: {
    ...DECIDING,
    readBy: 'scorer',
    meaning: "Backend that scores. `auto`: the fastest that reproduces the model's golden vectors.",
    kind: 'choice',
    words: ['auto', ...BACKENDS],
    default: 'auto',
  },
  SLUICE_BACKEND_EXPECTED: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Backend that should score here. Another one in use is reported as a fallback: log, `/readyz`, `sluice_scoring_fallback`.',
    kind: 'choice',
    words: EXPECTATIONS,
    default: 'none',
  },
  SLUICE_SCORING_THREAD: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Thread that scores. `auto`: a separate thread if a batch of 256 takes longer than 4 ms, so that a large model does not delay fetching and commits.',
    kind: 'choice',
    words: ['auto', ...SCORING_THREADS],
    default: 'auto',
  },
  SLUICE_VERIFY_TIMEOUT_MS: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Longest wait of a micro-batch for the large net of a cascade, in ms; then the scores of the small one decide, annotated with `draft_stands`, and do not block.',
    kind: 'integer',
    default: 100,
    min: 1,
    max: 60_000,
  },
  SLUICE_MODE: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      '`observe` publishes no alert, `flag` publishes a block as a flag, `enforce` publishes blocks.',
    kind: 'choice',
    words: MODES,
    default: 'flag',
  },
  SLUICE_UNSCORED_OUTCOME: {
    ...DECIDING,
    readBy: 'scorer',
    meaning: 'Outcome of a transaction without a valid score. There is no block without a score.',
    kind: 'choice',
    words: ['approve', 'flag'],
    default: 'flag',
  },
  SLUICE_ALIGNMENT: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      '`aligned` is for replays with watermarks: partitions wait for each other in event time, so that the log alone decides.',
    kind: 'choice',
    words: ['live', 'aligned'],
    default: 'live',
  },
  SLUICE_BATCH_INTERVAL_MS: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Least time between two micro-batches of a partition that are not full, in ms. 0 never waits (docs/adr/0007).',
    kind: 'integer',
    default: 5,
    min: 0,
    max: 1_000,
  },
  SLUICE_BATCH_SIZE_MAX: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Most transactions of one micro-batch. Four times as many may wait per partition and topic.',
    kind: 'integer',
    default: 512,
    min: 1,
    max: 4_096,
  },
  SLUICE_LATE_VALUES_MAX: {
    ...DECIDING,
    readBy: 'scorer',
    meaning:
      'Maximum number of entities and pages of messages that the late transactions of one micro-batch read; a batch that would read more ends early, and the rest follows at once.',
    kind: 'integer',
    default: 1_024,
    min: 1,
    max: 65_536,
  },
  SLUICE_EVENT_AHEAD_MS_MAX: {
    ...DECIDING,
    readBy: 'scorer, skew, replay, policy',
    meaning:
      "Largest lead of an event time over its record's time stamp, and live also over the scorer's clock, in ms; beyond it the message is a dead letter.",
    kind: 'integer',
    default: 3_600_000,
    min: 0,
    max: 31_536_000_000,
  },
  SLUICE_STATE_TIMEOUT_MS: {
    ...STATE,
    readBy: 'scorer',
    meaning:
      'Longest wait for an answer of Redis, in ms; time in which the scorer itself was busy does not count, up to 4 times as long. A partition without an answer continues to decide, annotated with `degraded`, until its state is restored. An aligned replay waits longer.',
    kind: 'integer',
    default: 250,
    min: 10,
    max: 5_000,
  },
  SLUICE_STATE_CACHE_MIB: {
    ...STATE,
    readBy: 'scorer',
    meaning:
      'Memory for the state that a scorer keeps decoded, in MiB, over all its partitions; the process takes some 500 MiB besides. 0 reads every value again for each batch.',
    kind: 'integer',
    default: 768,
    min: 0,
    max: 65_536,
  },
} as const satisfies Readonly<Record<string, Variable>>

// Evidence that a policy needs for promotion.

const PROMOTION = { group: 'Decisions', readBy: 'policy' } as const

export const POLICY_VARIABLES = {
  SLUICE_PROMOTE_DAYS_MIN: {
    ...PROMOTION,
    meaning: 'Days that a policy must have decided in its mode before it is promoted.',
    kind: 'number',
    default: 7,
    min: 0,
    max: 365,
  },
  SLUICE_PROMOTE_PRECISION_MIN: {
    ...PROMOTION,
    meaning:
      'Share of the alerts of the next mode that must have been fraud, at the low end of its 95 % interval.',
    kind: 'number',
    default: 0.5,
    min: 0,
    max: 1,
  },
  SLUICE_PROMOTE_ALERTS_MIN: {
    ...PROMOTION,
    meaning: 'Alerts that must be old enough to be judged.',
    kind: 'integer',
    default: 100,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_PROMOTE_MATURE_MS: {
    ...PROMOTION,
    meaning:
      'Age at which a decision without a fraud label counts as genuine, in milliseconds of event time.',
    kind: 'integer',
    default: 7 * 86_400_000,
    min: 0,
    max: 366 * 86_400_000,
  },
  SLUICE_PROMOTE_AGREEMENT_MIN: {
    ...PROMOTION,
    meaning: 'Least share of outcomes on which a cascade must agree with its large net.',
    kind: 'number',
    default: 0.99,
    min: 0,
    max: 1,
  },
  SLUICE_PROMOTE_SKEW_SHARE_MAX: {
    ...PROMOTION,
    meaning: 'Largest share of recomputed feature values that may differ.',
    kind: 'number',
    default: 0,
    min: 0,
    max: 1,
  },
} as const satisfies Readonly<Record<string, Variable>>

// Duration and caps of blocks.

const BLOCKING = { group: 'Decisions', readBy: 'scorer' } as const
const BUILT_IN = 'Breaker of the built-in policy:'

export const BLOCK_VARIABLES = {
  SLUICE_LEASE_MS: {
    ...BLOCKING,
    readBy: 'scorer, enforce, gateway, replay',
    meaning:
      'Duration of a block, from its event time, and of the hold after a fraud label, from its known-at time, in ms. An enforcer that starts reads back alerts up to this age: give it the longest lease of any policy.',
    kind: 'integer',
    default: 86_400_000,
    min: 60_000,
    max: 2_592_000_000,
  },
  SLUICE_LEASE_GRACE_MS: {
    ...BLOCKING,
    meaning:
      'Time that an idle partition waits after the end of a lease before it publishes the release, in ms.',
    kind: 'integer',
    default: 30_000,
    min: 100,
    max: 3_600_000,
  },
  SLUICE_LEASES_MAX: {
    ...BLOCKING,
    meaning:
      'Maximum number of blocked cards of a partition; beyond that a block becomes a flag, annotated with `leases_full`. About 1.5 KB of memory each.',
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_BREAKER_BLOCKS_PER_MINUTE: {
    ...BLOCKING,
    meaning: `${BUILT_IN} maximum number of blocks in any minute of event time, over all partitions. The next one trips it.`,
    kind: 'integer',
    default: 60,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_BREAKER_TRAFFIC_SHARE: {
    ...BLOCKING,
    meaning: `${BUILT_IN} share of a partition's transactions that may be blocked.`,
    kind: 'number',
    default: 0.05,
    min: 0,
    max: 1,
  },
  SLUICE_BREAKER_VALUE_SHARE: {
    ...BLOCKING,
    meaning: `${BUILT_IN} share of a partition's value that may be blocked.`,
    kind: 'number',
    default: 0.3,
    min: 0,
    max: 1,
  },
  SLUICE_BREAKER_WINDOW_MS: {
    ...BLOCKING,
    meaning: `${BUILT_IN} window of event time for the shares, in ms.`,
    kind: 'integer',
    default: 3_600_000,
    min: 60_000,
    max: 86_400_000,
  },
  SLUICE_BREAKER_SAMPLE_MIN: {
    ...BLOCKING,
    meaning: `${BUILT_IN} minimum number of transactions of a partition for the shares; with less traffic in the window, as many blocks are allowed as for this number.`,
    kind: 'integer',
    default: 1_000,
    min: 1,
    max: 1_000_000,
  },
} as const satisfies Record<string, Variable>
