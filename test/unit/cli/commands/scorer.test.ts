// Goal: the help of the scorer names every variable that it reads, and none that it does not.

import { deepStrictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { Command } from 'commander'
import { register } from '../../../../services/cli/commands/scorer.ts'
import { loadScorerConfig } from '../../../../services/scorer/config.ts'

test('the help lists the variables of the configuration', () => {
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
  // Read by the entry, before anything that computes features is loaded.
  const read: string[] = ['SLUICE_FEATURES']
  const nothing = new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get(_, name) {
        if (typeof name === 'string') read.push(name)
        return undefined
      },
    },
  )
  loadScorerConfig(nothing)
  const listed = [...help.matchAll(/^ {2}(SLUICE_[A-Z_]+) {2}/gm)].map(([, name]) => name)
  deepStrictEqual(listed.toSorted(), [...new Set(read)].toSorted())
})
