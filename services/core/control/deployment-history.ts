// Since when something is wanted, and who asked for it, from the messages that a compacted topic still has.

import type { PositionedDeployment } from './control-message.ts'
import type { Choice, ChangeRecord, Deployment } from './deployment.ts'

/** Who said something, and whether it may have been said before already, in a message that is gone by now. */
export interface WordSince extends ChangeRecord {
  /** Offset in the control topic. */
  readonly position: number
  /** False when what was before this message is no longer there: then it holds since then at the latest. */
  readonly isFirst: boolean
}

/**
 * The message from which on the newest choice holds, changes of anything else left out; null when nobody has said
 * anything, or took it back. `keyOf` says which choices are one and the same: two versions of a policy, say.
 */
export function sinceWhen(
  deployments: readonly PositionedDeployment[],
  choose: (deployment: Deployment) => Choice,
  keyOf: (choice: Choice) => string | null,
): WordSince | null {
  const newest = deployments.at(-1)
  if (newest === undefined) return null
  const key = keyOf(choose(newest.deployment))
  let from = deployments.length - 1
  while (from > 0) {
    const before = deployments[from - 1]
    if (before === undefined || keyOf(choose(before.deployment)) !== key) break
    from -= 1
  }
  const since = deployments[from]
  const word = since?.control ?? null
  if (since === undefined || word === null) return null
  const { author, reason, atMs } = word
  // The first message of all has none before it; any other may have lost its predecessors to compaction.
  return {
    author,
    reason,
    atMs,
    position: since.position,
    isFirst: from > 0 || since.position === 0,
  }
}
