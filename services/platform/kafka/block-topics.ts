// Reads the blocks of a stream for display: live leases, resets, and the committed block state of partitions.

import type { Admin } from 'kafkajs'
import { breakerResetsOf } from '../../core/control/deployment.ts'
import { type CardLease, LeaseReader } from '../../core/decision/leases.ts'
import { readToEnd } from './committed-reader.ts'
import type { ControlAccess } from './control-topic.ts'
import { coordinatorRefusal } from './coordinator-refusal.ts'
import { openKafka } from './kafka-client.ts'
import { kafkaUnreadable } from './kafka-failure.ts'
import { topicName } from './topics.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

/**
 * All live leases of a stream.
 * @throws SluiceError as `readToEnd`.
 */
export async function readLiveLeases(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  signal?: AbortSignal,
): Promise<readonly CardLease[]> {
  const leases = new LeaseReader(codecs)
  await readToEnd(
    {
      ...{ brokers, security, name: 'sluice-release', startAt: 'beginning' },
      topics: [topicName(topicPrefix, 'leases')],
    },
    ({ messages }) => {
      for (const { key, value } of messages) leases.accept(key, value)
    },
    signal,
  )
  return leases.live
}

/** The number of times that operators have reset the breakers. @throws SluiceError as `readToEnd`. */
export async function readBreakerResets(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  signal?: AbortSignal,
): Promise<number> {
  let resets = 0
  await readToEnd(
    {
      ...{ brokers, security, name: 'sluice-breaker', startAt: 'beginning' },
      topics: [topicName(topicPrefix, 'control')],
    },
    ({ messages }) => {
      for (const { value } of messages) {
        const decoded = value === null ? null : codecs.control.decode(value)
        if (decoded?.ok !== true) continue
        resets = Math.max(resets, breakerResetsOf(decoded.value) ?? 0)
      }
    },
    signal,
  )
  return resets
}

/**
 * The current number of processes in a group.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export async function countMembers(access: ControlAccess, groupId: string): Promise<number> {
  return withAdmin(access, async (admin) => {
    const { groups } = await admin.describeGroups([groupId])
    return groups.reduce((count, { members }) => count + members.length, 0)
  })
}

/** Committed block state of a partition. */
export interface PartitionKept {
  readonly partition: number
  /** Null while the partition has no block state. */
  readonly kept: string | null
}

/**
 * The committed block state of a group's partitions, in partition order.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export async function readKeptBlocks(
  access: ControlAccess,
  groupId: string,
): Promise<readonly PartitionKept[]> {
  return withAdmin(access, async (admin) => {
    const topics = [topicName(access.topicPrefix, 'labels')]
    const [found] = await admin.fetchOffsets({ groupId, topics })
    return (found?.partitions ?? [])
      .filter(({ offset }) => Number(offset) >= 0)
      .map(({ partition, metadata }) => ({ partition, kept: metadata === '' ? null : metadata }))
      .sort((a, b) => a.partition - b.partition)
  })
}

async function withAdmin<Found>(
  access: ControlAccess,
  ask: (admin: Admin) => Promise<Found>,
): Promise<Found> {
  const kafka = openKafka(access, {
    clientId: 'sluice-breaker',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    return await ask(admin)
  } catch (error) {
    throw await kafkaUnreadable(access, coordinatorRefusal(kafka, error) ?? error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
