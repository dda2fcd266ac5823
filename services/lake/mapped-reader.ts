// Rows of others' files as transactions, by a mapping of their columns.

import { findMapping, type ColumnMapping, type ReplayField } from '../core/files/column-mapping.ts'
import { compileRowReader, type ReadRow } from '../core/files/row-reader.ts'
import { cellReader, type ImportMapping } from '../core/lake/import-mapping.ts'

export interface MappedReaderOptions {
  readonly mapping: ImportMapping
  /** Told once for each different mapping; `file` is the first that has it. */
  readonly onMapping: (file: string, mapping: ColumnMapping) => void
}

/** Makes the readers of files, and tells how their columns are understood. */
export class MappedReader {
  readonly #options: MappedReaderOptions
  #mappingShown = ''

  constructor(options: MappedReaderOptions) {
    this.#options = options
  }

  /** The reader for files with this header. @throws SluiceError SLUICE_INPUT_INVALID when a column is missing. */
  compile(file: string, header: readonly string[]): ReadRow {
    const { mapping: given, onMapping } = this.#options
    const mapping = findMapping(file, header, given.columns, given.constants)
    const shown = JSON.stringify(mapping)
    if (shown !== this.#mappingShown) {
      this.#mappingShown = shown
      onMapping(file, mapping)
    }
    const read = compileRowReader(header, mapping, given.constants, given.amountUnit)
    const changes = (Object.entries(mapping) as [ReplayField, string][]).flatMap(
      ([field, column]) => {
        const change = cellReader(given, field)
        return change === null ? [] : [[header.indexOf(column), change] as const]
      },
    )
    if (changes.length === 0) return read
    return (cells, rowId) => {
      const changed = [...cells]
      for (const [index, change] of changes) changed[index] = change((cells[index] ?? '').trim())
      return read(changed, rowId)
    }
  }
}
