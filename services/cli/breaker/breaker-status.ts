// Where the breakers of a stream stand: what its partitions have committed, against how often people have reset them.

import { breakersIn, decodeKept } from '../../core/decision/block-guard.ts'
import type { BreakerStatus } from '../../core/decision/breaker.ts'
import { EnvReader, readGroupId } from '../../platform/config/env-reader.ts'
import { readBreakerResets, readKeptBlocks } from '../../platform/kafka/block-topics.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'

/** One breaker of one partition. */
export interface PartitionBreaker extends BreakerStatus {
  readonly partition: number
  /** True when blocks are flags there. */
  readonly isOpen: boolean
}

export interface BreakerStatuses {
  /** How often people have reset the breakers. */
  readonly resets: number
  readonly partitions: readonly PartitionBreaker[]
}

/** @throws SluiceError as `readToEnd` and `readKeptBlocks`. */
export async function readBreakers(
  access: ControlAccess,
  groupId: string,
): Promise<BreakerStatuses> {
  const resets = await readBreakerResets(access)
  const partitions = (await readKeptBlocks(access, groupId)).flatMap(({ partition, kept }) =>
    breakersIn(decodeKept(kept).guard).map((breaker) => ({
      ...{ partition, ...breaker },
      isOpen: breaker.trippedAt !== null && resets <= breaker.trippedAt,
    })),
  )
  return { resets, partitions }
}

/** The group of the option, else of the environment, else that of the prefix. @throws SluiceError SLUICE_CONFIG_INVALID. */
export function groupOf({ group }: { readonly group?: string }, topicPrefix: string): string {
  const read = new EnvReader(process.env)
  const configured = readGroupId(read, topicPrefix)
  read.throwIfInvalid()
  return group ?? configured
}
