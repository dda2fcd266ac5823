// Debian's prometheus and promtool, installed if they are missing and installation is possible; and folders for them.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  promtoolBeside,
  requirePrerequisites,
  thisMachine,
} from '../../tools/servers/prerequisites.ts'
import { closeWith } from './cleanup.ts'

/** Full path of prometheus. @throws SluiceError SLUICE_PREREQUISITE_MISSING with the command that installs it. */
export async function prometheusProgram(): Promise<string> {
  const found = await requirePrerequisites(['prometheus'], thisMachine(process.env), (line) => {
    process.stderr.write(`sluice: ${line}\n`)
  })
  return found.get('prometheus') ?? ''
}

/** Full path of promtool. @throws SluiceError SLUICE_PREREQUISITE_MISSING as above. */
export async function promtoolProgram(): Promise<string> {
  return promtoolBeside(await prometheusProgram())
}

/** A folder that is deleted when the test ends. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-prometheus-'))
  closeWith(t, () => {
    rmSync(folder, { recursive: true, force: true })
    return Promise.resolve()
  })
  return folder
}
