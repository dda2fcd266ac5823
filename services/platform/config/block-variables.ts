// Variables that say how long cards stay blocked, and how much may be.

import type { Variable } from './variable.ts'

const DECIDING = { group: 'Deciding', readBy: 'scorer' } as const
const BUILT_IN = 'Breaker of the built-in policy:'

export const BLOCK_VARIABLES = {
  SLUICE_LEASE_MS: {
    ...DECIDING,
    readBy: 'scorer, enforce, replay',
    meaning:
      'How long a block lasts, from the event time on, and how long a fraud label holds the card, from when it was known; in ms. An enforcer that starts reads alerts of this age again: give it the longest lease of any policy.',
    kind: 'integer',
    default: 86_400_000,
    min: 60_000,
    max: 2_592_000_000,
  },
  SLUICE_LEASE_GRACE_MS: {
    ...DECIDING,
    meaning:
      'How long after the end of a lease a partition to which nothing comes waits before it publishes the release, in ms.',
    kind: 'integer',
    default: 30_000,
    min: 100,
    max: 3_600_000,
  },
  SLUICE_LEASES_MAX: {
    ...DECIDING,
    meaning:
      'Cards that one partition may have blocked at a time; beyond that a block becomes a flag, marked `leases_full`. About 1.5 KB of memory each.',
    kind: 'integer',
    default: 10_000,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_BREAKER_BLOCKS_PER_MINUTE: {
    ...DECIDING,
    meaning: `${BUILT_IN} blocks in any minute of event time, of all partitions together. The next one trips it.`,
    kind: 'integer',
    default: 60,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_BREAKER_TRAFFIC_SHARE: {
    ...DECIDING,
    meaning: `${BUILT_IN} share of a partition's transactions that may be blocked.`,
    kind: 'number',
    default: 0.05,
    min: 0,
    max: 1,
  },
  SLUICE_BREAKER_VALUE_SHARE: {
    ...DECIDING,
    meaning: `${BUILT_IN} share of a partition's value that may be blocked.`,
    kind: 'number',
    default: 0.3,
    min: 0,
    max: 1,
  },
  SLUICE_BREAKER_WINDOW_MS: {
    ...DECIDING,
    meaning: `${BUILT_IN} stretch of event time that shares are of, in ms.`,
    kind: 'integer',
    default: 3_600_000,
    min: 60_000,
    max: 86_400_000,
  },
  SLUICE_BREAKER_SAMPLE_MIN: {
    ...DECIDING,
    meaning: `${BUILT_IN} transactions of a partition that shares are of at least: of less traffic in the window as many blocks may go as of these.`,
    kind: 'integer',
    default: 1_000,
    min: 1,
    max: 1_000_000,
  },
} as const satisfies Record<string, Variable>
