// How others' files are to be understood, from the options of a command: a mapping file, and what is said beside it.

import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { SluiceError } from '../../core/errors.ts'
import type { ColumnMapping, FieldConstants } from '../../core/files/column-mapping.ts'
import {
  NO_MAPPING,
  parseImportMapping,
  type ImportMapping,
} from '../../core/lake/import-mapping.ts'

export interface MappingOptions {
  /** YAML or JSON. */
  readonly mapping?: string
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
}

/** The mapping of the file, with the single columns and constants in the place of its own. @throws SluiceError SLUICE_USAGE. */
export function importMappingOf({ mapping: path, map, set }: MappingOptions): ImportMapping {
  const given = path === undefined ? NO_MAPPING : parseImportMapping(path, readMapping(path))
  return {
    ...given,
    columns: { ...given.columns, ...map },
    constants: { ...given.constants, ...set },
  }
}

/** JSON is YAML as well. */
function readMapping(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8')) as unknown
  } catch (error) {
    const [problem = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new SluiceError('SLUICE_USAGE', `${path} cannot be read as YAML or JSON: ${problem}`, {
      cause: error,
    })
  }
}
