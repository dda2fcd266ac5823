// The committed dashboards of this installation.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../../services/core/errors.ts'
import { readBoard, type BoardModel } from './board-model.ts'

/** Where the dashboards lie, from the root of the checkout. */
export const DASHBOARDS_PATH = 'infra/grafana/dashboards'
/** The order in which people read the boards; others follow by name. */
const ORDER = ['sluice-fraud', 'sluice-stream', 'sluice-state-and-models', 'sluice-runtime']

/**
 * Reads all boards.
 * @throws SluiceError SLUICE_INPUT_INVALID when the folder is missing or a file in it is no board.
 */
export function readBoards(root: string): readonly BoardModel[] {
  const folder = join(root, DASHBOARDS_PATH)
  const boards = listJson(folder).map((name) => {
    const board = readBoard(parse(readFileSync(join(folder, name), 'utf8')))
    if (board !== null) return board
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${DASHBOARDS_PATH}/${name} is no dashboard that the preview can read; make it anew with "npm run boards".`,
    )
  })
  const place = ({ uid }: BoardModel): number =>
    ORDER.includes(uid) ? ORDER.indexOf(uid) : ORDER.length
  return [...boards].sort((a, b) => place(a) - place(b))
}

function listJson(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .sort()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The folder ${DASHBOARDS_PATH} cannot be read; it belongs to a checkout of Sluice.`,
      { cause: error },
    )
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
