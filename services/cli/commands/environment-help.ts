// The part of a command's help that lists environment variables, generated from the list of variables.

import type { Variable } from '../../platform/config/variable.ts'
import { VARIABLES } from '../../platform/config/variables.ts'
import { tableLines } from '../table.ts'

/** Lines for the variables that this program reads: name, default, and the first sentence of the meaning. */
export function environmentHelp(program: string): string {
  const rows = Object.entries<Variable>(VARIABLES)
    .filter(([, { readBy, group }]) => isReadBy(readBy, program) && group !== 'Tests only')
    .map(([name, variable]) => [name, defaultText(variable), firstSentence(variable.meaning)])
  return [
    'Environment (with defaults; docs/configuration.md has ranges and words):',
    ...tableLines(rows, { indent: '  ' }),
  ].join('\n')
}

function isReadBy(readBy: string, program: string): boolean {
  return readBy === 'all' || readBy.split(', ').includes(program)
}

function defaultText(variable: Variable): string {
  if (variable.kind === 'list') return variable.default.join(',')
  return variable.default === null ? '-' : String(variable.default)
}

/** Text up to the first full stop that ends a sentence, without the page's annotations. */
function firstSentence(meaning: string): string {
  return (/^.*?\.(?= |$)/.exec(meaning)?.[0] ?? meaning).replaceAll('`', '')
}
