// The tables of docs/configuration.md: the variables and the programs that read them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface DocumentedVariable {
  readonly name: string
  /** Services and commands, as the page names them; `all` for all. */
  readonly readBy: readonly string[]
}

/** Every row of the page. A unit test of its own compares the page with the code. */
export function documentedVariables(): readonly DocumentedVariable[] {
  const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const [, name = '', readBy = ''] = line.split('|')
      return {
        name: name.trim().replaceAll('`', ''),
        readBy: readBy.split(',').map((word) => word.trim()),
      }
    })
}
