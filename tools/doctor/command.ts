// sluice doctor: checks everything that Sluice needs, and prints each finding with its remedy.

import type { Command } from 'commander'
import { printJson, printLine, repositoryRoot } from '../../services/cli/command.ts'
import { tableLines } from '../../services/cli/table.ts'
import { dockerEngineVersion } from '../servers/compose.ts'
import { redisUrl as localRedisUrl } from '../servers/health.ts'
import { thisMachine } from '../servers/prerequisites.ts'
import { readGivenAddresses, stackStatus } from '../servers/stack-choice.ts'
import { readRecord, stackPaths } from '../servers/stack-record.ts'
import { backendCheck, type BackendProbe, machineChecks, programChecks } from './machine-checks.ts'
import { type Finding, runChecks } from './finding.ts'
import { serverChecks } from './server-checks.ts'
import { topicChecks } from './topic-checks.ts'

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

/** The findings as lines for people: one line each, with the remedy below it. */
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

// All checks of this machine, in the order in which they are shown.

export interface DoctorOptions {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  /** Probes of the scoring backends; all known ones by default. */
  readonly backendProbes?: readonly BackendProbe[]
}

/** Runs all checks of this machine. Changes nothing. @throws SluiceError SLUICE_CONFIG_INVALID */
export async function examine(options: DoctorOptions): Promise<readonly Finding[]> {
  const { root, env } = options
  const paths = stackPaths(root)
  const given = readGivenAddresses(env)
  const [status, engine] = await Promise.all([
    stackStatus(root, env),
    given.provider === 'local' ? null : dockerEngineVersion(env['PATH']),
  ])
  const redisPort = readRecord(paths.recordFile).redis?.ports[0]
  const redisUrl = given.redisUrl ?? (redisPort === undefined ? null : localRedisUrl(redisPort))
  const redisConnection =
    redisUrl === null ? null : { url: redisUrl, security: given.redisSecurity }
  const kafkaConnection =
    status.kafka.state === 'up'
      ? { brokers: status.kafka.address?.split(',') ?? [], security: given.kafkaSecurity }
      : null
  return runChecks([
    ...programChecks({
      paths,
      machine: thisMachine(env),
      kafkaIsElsewhere: given.brokers !== null || engine !== null,
      redisIsElsewhere: given.redisUrl !== null || engine !== null,
    }),
    ...serverChecks({ ...status, kafkaSecurity: given.kafkaSecurity, redisConnection }),
    ...topicChecks(kafkaConnection, env['SLUICE_TOPIC_PREFIX'] ?? ''),
    ...machineChecks(paths),
    backendCheck(options.backendProbes),
  ])
}
