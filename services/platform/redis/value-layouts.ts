// Which layouts of stored values this build reads. While scorers of two versions run, every value must be in a layout
// that both read: so a build that knows two writes the older one until it is told otherwise.

import { CARD_LAYOUT_VERSION } from '../../core/features/card-history.ts'
import { ENTITY_LAYOUT_VERSION } from '../../core/features/entity-part.ts'

/** One number stands for the layouts of cards and of entities. */
export interface ValueLayout {
  readonly layout: number
  readonly card: number
  readonly entity: number
}

/** Oldest first. */
export const VALUE_LAYOUTS: readonly ValueLayout[] = [
  { layout: 1, card: CARD_LAYOUT_VERSION, entity: ENTITY_LAYOUT_VERSION },
]

/** What is written unless SLUICE_STATE_LAYOUT says otherwise: what scorers of the version before read, too. */
export const VALUE_LAYOUT_DEFAULT = VALUE_LAYOUTS[0]?.layout ?? 0

export const VALUE_LAYOUT_NEWEST = VALUE_LAYOUTS.at(-1)?.layout ?? 0
