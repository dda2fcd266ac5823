// Which kind of fraud each one is, for an analysis of errors only. It is read from the files themselves, past the history
// that features and nets are made from, so it can be a part of neither.

import { listCsvFiles, readCsvRows } from '../../platform/files/csv-files.ts'

const ID_COLUMN = 'transaction_id'
const SCENARIO_COLUMN = 'tx_fraud_scenario'
const NONE = '0'

/** Scenario by transaction id, frauds only; null when the files do not tell. */
export async function readScenarios(
  paths: readonly string[],
  span: { readonly fromMs: number; readonly endMs: number },
): Promise<ReadonlyMap<string, string> | null> {
  const scenarios = new Map<string, string>()
  for (const file of await listCsvFiles(paths, span)) {
    let columns: readonly [id: number, scenario: number] | null = null
    for await (const { cells } of readCsvRows(file, ',', () => undefined)) {
      if (columns === null) {
        columns = [cells.indexOf(ID_COLUMN), cells.indexOf(SCENARIO_COLUMN)]
        if (columns.includes(-1)) return null
        continue
      }
      const [id, scenario] = [cells[columns[0]] ?? '', cells[columns[1]] ?? NONE]
      if (scenario !== NONE) scenarios.set(id, scenario)
    }
  }
  return scenarios
}
