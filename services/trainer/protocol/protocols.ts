// The protocols by name: which days, which rows, how large nets are and how long they are trained.

import { DAY_MS } from '../../core/features/catalogue/time.ts'
import { CASCADE_SHAPE, type CascadeShape } from '../train-cascade.ts'
import {
  assessedEndMs,
  dayStartMs,
  DELAY_DAYS,
  protocolWeek,
  PUBLISHED_WEEKS,
  TRAIN_DAYS,
  type AssessableRows,
  type Conditions,
  type ProtocolWeek,
} from './handbook-weeks.ts'
import { SPARKOV_DAYS, sparkovSplit, splitEndMs } from './sparkov-split.ts'

export interface Protocol {
  /** Days by period, such as the first of each training week; those for choices are `validation`. */
  readonly periods: Readonly<Record<string, readonly string[]>>
  /** Passes over the training rows, and sizes of the nets, unless something else is said. */
  readonly epochs: number
  readonly shape: CascadeShape
  /** From when on transactions are rows; earlier ones are history only. */
  readonly keepFromMs: (days: readonly string[], conditions: Conditions) => number
  readonly rowsOf: (rows: AssessableRows, day: string, conditions: Conditions) => ProtocolWeek
  /** All that is assessed for these days lies in it. */
  readonly spanOf: (days: readonly string[]) => { readonly fromMs: number; readonly endMs: number }
}

export const PROTOCOL_NAMES = ['handbook', 'sparkov'] as const
export type ProtocolName = (typeof PROTOCOL_NAMES)[number]

function earliestMs(days: readonly string[]): number {
  return Math.min(...days.map(dayStartMs))
}

export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  handbook: {
    periods: PUBLISHED_WEEKS,
    // Those that were best on the validation weeks.
    ...{ epochs: 12, shape: CASCADE_SHAPE },
    keepFromMs: (days, conditions) => (conditions === 'published' ? earliestMs(days) : -Infinity),
    rowsOf: protocolWeek,
    spanOf: (days) => ({
      fromMs: earliestMs(days) + (TRAIN_DAYS + DELAY_DAYS) * DAY_MS,
      endMs: Math.max(...days.map(assessedEndMs)),
    }),
  },
  sparkov: {
    periods: SPARKOV_DAYS,
    // 20 times the rows of a handbook week: fewer passes make as many steps, and wider nets find enough to learn. Both chosen
    // on the days from 2020-04-12 on.
    epochs: 8,
    shape: { ...CASCADE_SHAPE, targetUnits: [128, 64], eventUnits: [32, 32] },
    keepFromMs: () => -Infinity,
    rowsOf: sparkovSplit,
    spanOf: (days) => ({ fromMs: earliestMs(days), endMs: Math.max(...days.map(splitEndMs)) }),
  },
}
