// Which layouts of stored values this build reads. While scorers of two versions run, every value must be in a layout
// that both read: so a build that knows two writes the older one until it is told otherwise.

import { CARD_LAYOUTS } from '../../core/features/state/card-layouts.ts'

/** One number stands for the layouts of cards and of entities: that of the card. Oldest first. */
export const VALUE_LAYOUTS = CARD_LAYOUTS
export type ValueLayout = (typeof VALUE_LAYOUTS)[number]

/** What is written unless SLUICE_STATE_LAYOUT says otherwise: what scorers of the version before read, too. */
export const VALUE_LAYOUT_DEFAULT = 2 satisfies ValueLayout

export const VALUE_LAYOUT_NEWEST = 5 satisfies ValueLayout

/** @throws RangeError when this build does not know the layout. */
export function valueLayout(layout: number): ValueLayout {
  const known = VALUE_LAYOUTS.find((one) => one === layout)
  if (known === undefined) throw new RangeError(`Layout ${layout} is unknown.`)
  return known
}
