// Every query of the committed dashboards, for tests that ask a real Prometheus or compare names.

import { join } from 'node:path'
import { readBoards } from './preview/board-files.ts'
import type { BoardModel } from './preview/board-model.ts'

/**
 * One query as Grafana would send it, variables not yet replaced; `fillVariables` of
 * tools/dashboards/preview/board-variables.ts does that.
 */
export interface BoardQuery {
  /** Uid of the board, such as `sluice-fraud`. */
  readonly board: string
  /** Title of the panel, or the name of the annotation or variable. */
  readonly panel: string
  readonly kind: 'panel' | 'annotation' | 'variable'
  readonly expr: string
  /** Legend with `{{label}}` in it; empty for variables. */
  readonly legend: string
  /** Asked for one moment, not for a range. */
  readonly isInstant: boolean
}

/** All queries of all boards, board by board: its panels in order, then annotations, then variables. */
export function queriesOfBoards(): readonly BoardQuery[] {
  return readBoards(join(import.meta.dirname, '../..')).flatMap(queriesOf)
}

function queriesOf({ uid, panels, marks, variableQueries }: BoardModel): readonly BoardQuery[] {
  const board = uid
  return [
    ...panels.flatMap(({ title, targets }) =>
      targets.map(
        ({ expr, legend, isInstant }) =>
          ({ board, panel: title, kind: 'panel', expr, legend, isInstant }) as const,
      ),
    ),
    ...marks.map(
      ({ name, expr, text }) =>
        ({ board, panel: name, kind: 'annotation', expr, legend: text, isInstant: false }) as const,
    ),
    ...variableQueries.map(
      ([name, query]) =>
        ({
          board,
          panel: name,
          kind: 'variable',
          expr: selectorOf(query),
          legend: '',
          isInstant: false,
        }) as const,
    ),
  ]
}

/** The selector in `label_values(selector, label)`. */
function selectorOf(query: string): string {
  return /^label_values\((.*), \w+\)$/.exec(query)?.[1] ?? query
}
