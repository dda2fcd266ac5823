// Model and policy of a block, opened.

import type { ReplayModel } from './models-by-digest.ts'
import type { Rule } from './replay-policies.ts'

/** What decides the decisions of a block. */
export interface Deciding extends ReplayModel {
  /** Null when no policy with the block's digest is known. */
  readonly rule: Rule | null
}
