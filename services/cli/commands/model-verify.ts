// sluice model verify: says of a model folder whether files, papers, scores and figures are what they claim to be.

import { resolve } from 'node:path'
import { Option } from 'commander'
import type { Command } from 'commander'
import { BACKENDS, type Backend } from '../../core/scoring/scoring-model.ts'
import {
  verifyModelFolder,
  type Verification,
} from '../../../tools/model-documentation/verify-folder.ts'
import { printJson, printLine } from '../command.ts'
import { printTable } from '../table.ts'

const EXIT_MISMATCH = 1

interface VerifyOptions {
  readonly backend: Backend | 'auto'
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice model verify models/simulator
  $ sluice model verify models/simulator --backend cpu --json

Exit code 1 when anything does not match. What is checked: docs/openness.md.`

/** Adds the subcommand to `sluice model`. */
export function addVerify(model: Command): void {
  model
    .command('verify <folder>')
    .summary('check files, papers, scores and figures of a model folder')
    .description(
      'Checks every file and its digest, results, bill of materials, MOF.yml and pages, opens the model, and computes ' +
        'the golden scores and the figures of the shipped rows again.',
    )
    .addOption(
      new Option('--backend <name>', 'what to compute on')
        .choices(['auto', ...BACKENDS])
        .default('auto'),
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, options: VerifyOptions) => {
      const verification = await verifyModelFolder(resolve(folder), options.backend)
      if (options.json === true) printJson(verification)
      else printFindings(folder, verification)
      if (!verification.isSound) process.exitCode = EXIT_MISMATCH
    })
}

function printFindings(folder: string, { isSound, checks }: Verification): void {
  const rows = checks.flatMap(({ check, said, problems }) =>
    problems.length === 0
      ? [[check, `ok: ${said}`]]
      : problems.map((problem) => [check, `MISMATCH: ${problem}`]),
  )
  printTable(rows)
  const count = checks.reduce((sum, { problems }) => sum + problems.length, 0)
  printLine(isSound ? `${folder}: everything matches` : `${folder}: ${count} mismatches`)
}
