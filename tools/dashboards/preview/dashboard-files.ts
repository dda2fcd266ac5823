// The committed dashboards of this installation.

import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { SluiceError } from '../../../services/core/errors.ts'
import { readDashboard, type DashboardModel } from './dashboard-model.ts'

/** Where the dashboards lie, from the root of the checkout. */
export const DASHBOARDS_PATH = 'infra/grafana/dashboards'
/** The order in which people read the dashboards; others follow by name. */
const ORDER = ['sluice-fraud', 'sluice-stream', 'sluice-state-and-models', 'sluice-runtime']

/**
 * Reads all dashboards.
 * @throws SluiceError SLUICE_INPUT_INVALID when the folder is missing or a file in it is no dashboard.
 */
export function readDashboards(root: string): readonly DashboardModel[] {
  const folder = join(root, DASHBOARDS_PATH)
  const dashboards = listJson(folder).map((name) => {
    const dashboard = readDashboard(parse(readFileSync(join(folder, name), 'utf8')))
    if (dashboard !== null) return dashboard
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${DASHBOARDS_PATH}/${name} is no dashboard that the preview can read; make it anew with "npm run dashboards".`,
    )
  })
  const place = ({ uid }: DashboardModel): number =>
    ORDER.includes(uid) ? ORDER.indexOf(uid) : ORDER.length
  return [...dashboards].sort((a, b) => place(a) - place(b))
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
