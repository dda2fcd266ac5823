// The catalogue of features of a process: the shipped one, or the file that SLUICE_FEATURES names. Entries install it
// before they import anything that computes features, so this file reads the one variable itself.

import { readFileSync, statSync } from 'node:fs'
import { SluiceError } from '../core/errors.ts'
import {
  CATALOGUE_LIMITS,
  parseCatalogue,
  type ParsedCatalogue,
} from '../core/features/catalogue/catalogue-file.ts'
import { installCatalogue } from '../core/features/catalogue/installed-catalogue.ts'
import { faultSentence } from '../core/yaml/yaml-fields.ts'

const VARIABLE = 'SLUICE_FEATURES'
const FAULTS_SHOWN_MAX = 5

/**
 * Installs the catalogue of the file that the environment names, if any.
 * @throws SluiceError SLUICE_CONFIG_INVALID when the file cannot be read or has a fault.
 */
export function installOwnCatalogue(env: NodeJS.ProcessEnv): void {
  const file = env[VARIABLE] ?? ''
  if (file === '') return
  const parsed = readCatalogueFile(file)
  if (parsed.ok) {
    installCatalogue(parsed.features)
    return
  }
  const shown = parsed.faults.slice(0, FAULTS_SHOWN_MAX).map(faultSentence).join('; ')
  const rest = parsed.faults.length - FAULTS_SHOWN_MAX
  throw new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `${VARIABLE}: ${file} is no catalogue of features: ${shown}${rest > 0 ? `; and ${rest} more` : ''}. ` +
      `"sluice features check ${file}" lists all faults.`,
  )
}

/**
 * Reads and checks a catalogue file.
 * @throws SluiceError SLUICE_CONFIG_INVALID when the file cannot be read or is too large.
 */
export function readCatalogueFile(file: string): ParsedCatalogue {
  const { bytesMax } = CATALOGUE_LIMITS
  let text: string
  try {
    const { size } = statSync(file)
    if (size > bytesMax) throw new Error(`it has ${size} bytes; ${bytesMax} are allowed`)
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_CONFIG_INVALID',
      `The catalogue ${file} cannot be read (${reason}); name a readable YAML file.`,
      { cause: error },
    )
  }
  return parseCatalogue(text)
}
