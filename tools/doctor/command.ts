// sluice doctor: everything that Sluice needs, each with what was seen and what to do.

import type { Command } from 'commander'
import { examine, type Finding } from '../servers/index.ts'
import { printJson, printLine, repositoryRoot } from '../../services/cli/command.ts'
import { tableLines } from '../../services/cli/table.ts'

const EXIT_FAILED = 1

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('doctor')
    .summary('check everything Sluice needs on this machine')
    .description(
      'Checks Node, npm dependencies, Java, Maven, Redis, Docker, the servers and their versions, memory,\n' +
        'disk, ports and scoring backends. Changes nothing. Exits 1 when something required fails.',
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', '\nExamples:\n  $ sluice doctor\n  $ sluice doctor --json')
    .action(async (options: { readonly json?: boolean }) => {
      const findings = await examine({ root: repositoryRoot(), env: process.env })
      const failed = findings.filter((finding) => finding.level === 'fail').length
      if (options.json === true) printJson({ ok: failed === 0, findings })
      else for (const line of report(findings)) printLine(line)
      if (failed > 0) process.exitCode = EXIT_FAILED
    })
}

/** The findings as lines for people: one each, with the remedy below it. */
export function report(findings: readonly Finding[]): readonly string[] {
  const rows = findings.flatMap(({ name, level, seen, remedy }) => [
    [level, name, seen],
    ...(remedy === null ? [] : [['', '', remedy]]),
  ])
  const count = (level: Finding['level']): number =>
    findings.filter((finding) => finding.level === level).length
  return [
    ...tableLines(rows),
    `${count('ok')} ok, ${count('warn')} to look at, ${count('fail')} failed`,
  ]
}
