import { deepStrictEqual, match, rejects, strictEqual } from 'node:assert/strict'
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  findPrerequisite,
  missingError,
  parseJavaMajor,
  promtoolBeside,
  remedyFor,
  requirePrerequisites,
  type Machine,
} from '../../../../tools/servers/prerequisites.ts'

/** A machine whose PATH holds only these programs, each a shell script. */
function machineWith(programs: Readonly<Record<string, string>>, other: Partial<Machine>): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-path-'))
  for (const [name, script] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return { platform: 'linux', searchPath: folder, javaHome: undefined, isRoot: false, ...other }
}

test('the Java version is read from old and new version texts', () => {
  strictEqual(parseJavaMajor('openjdk version "17.0.15" 2025-04-15'), 17)
  strictEqual(parseJavaMajor('openjdk version "21" 2023-09-19'), 21)
  strictEqual(parseJavaMajor('java version "1.8.0_402"'), 8)
  strictEqual(
    parseJavaMajor('The operation could not be completed. Unable to locate a Java Runtime.'),
    null,
  )
})

test('a Java that is too old, or does not run, counts as missing', async () => {
  const java = (version: string): string => `echo 'openjdk version "${version}"' >&2`
  strictEqual(await findPrerequisite('java', machineWith({ java: java('11.0.2') }, {})), null)
  strictEqual(await findPrerequisite('java', machineWith({ java: 'exit 1' }, {})), null)
  const good = machineWith({ java: java('17.0.1') }, {})
  strictEqual(await findPrerequisite('java', good), join(good.searchPath ?? '', 'java'))
})

test('Prometheus counts only with promtool beside it', async () => {
  strictEqual(await findPrerequisite('prometheus', machineWith({ prometheus: '' }, {})), null)
  strictEqual(await findPrerequisite('prometheus', machineWith({ promtool: '' }, {})), null)
  const both = machineWith({ prometheus: '', promtool: '' }, {})
  const found = await findPrerequisite('prometheus', both)
  strictEqual(found, join(both.searchPath ?? '', 'prometheus'))
  strictEqual(promtoolBeside(found), join(both.searchPath ?? '', 'promtool'))
  strictEqual(
    remedyFor(['prometheus'], machineWith({ 'apt-get': '' }, { isRoot: true })),
    'Run: apt-get install -y prometheus',
  )
})

test('all that is missing is named in one message with the command for this machine', async () => {
  const names = ['java', 'maven', 'redis'] as const
  const commandOf = (machine: Machine): string => remedyFor(names, machine)
  strictEqual(
    commandOf(machineWith({ 'apt-get': '' }, {})),
    'Run: sudo apt-get install -y openjdk-17-jre-headless maven redis-server',
  )
  strictEqual(
    commandOf(machineWith({ 'apt-get': '' }, { isRoot: true })),
    'Run: apt-get install -y openjdk-17-jre-headless maven redis-server',
  )
  strictEqual(
    commandOf(machineWith({ dnf: '' }, {})),
    'Run: sudo dnf install -y java-21-openjdk-headless maven redis',
  )
  strictEqual(
    commandOf(machineWith({}, { platform: 'darwin' })),
    'Run: brew install openjdk maven redis',
  )
  match(commandOf(machineWith({}, {})), /SLUICE_KAFKA_BROKERS/)

  const error = missingError(names, machineWith({ 'apt-get': '' }, {}))
  match(error.message, /Java 17 or newer.*\n.*Maven.*\n.*redis-server.*\nRun: sudo apt-get/)
  strictEqual(error.code, 'SLUICE_PREREQUISITE_MISSING')
  await rejects(
    requirePrerequisites(['redis'], machineWith({ 'apt-get': 'exit 9' }, {}), () => undefined),
    (caught) => isSluiceError(caught, 'SLUICE_PREREQUISITE_MISSING'),
  )
})

test('programs that are there are found without installing anything', async () => {
  const machine = machineWith(
    { mvn: '', 'redis-server': '', 'apt-get': 'exit 9' },
    { isRoot: true },
  )
  const lines: string[] = []
  const found = await requirePrerequisites(['maven', 'redis'], machine, (line) => lines.push(line))
  deepStrictEqual([...found.keys()].sort(), ['maven', 'redis'])
  deepStrictEqual(lines, [])
})
