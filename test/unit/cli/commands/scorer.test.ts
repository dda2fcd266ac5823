// Goal: the help of the scorer names every variable that it reads, and none that it does not.

import { deepStrictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Command } from 'commander'
import { register } from '../../../../services/cli/commands/scorer.ts'

test('the help lists the variables of the configuration, the test switch excepted', () => {
  const program = new Command()
  let help = ''
  register(program)
  const [scorer] = program.commands
  scorer?.configureOutput({
    writeOut: (text) => {
      help += text
    },
  })
  scorer?.outputHelp()
  const config = readFileSync(
    join(import.meta.dirname, '../../../../services/scorer/config.ts'),
    'utf8',
  )
  const read = [...config.matchAll(/'(SLUICE_[A-Z_]+)'/g)].map(([, name]) => name)
  const listed = [...help.matchAll(/^ {2}(SLUICE_[A-Z_]+) {2}/gm)].map(([, name]) => name)
  deepStrictEqual(
    listed.toSorted(),
    [...new Set(read)].filter((name) => name !== 'SLUICE_UNSAFE').toSorted(),
  )
})
