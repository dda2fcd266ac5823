// Java, Maven, redis-server and Prometheus: finds them, installs them where that is possible without asking, or names
// the missing ones in one message with the command that installs them here.

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { findProgram, runProgram } from './run-program.ts'

export type PrerequisiteName = 'java' | 'maven' | 'redis' | 'prometheus'

/** Kafka 4 servers need this Java or newer. */
const JAVA_MAJOR_MIN = 17

const APT_LIMIT_MS = 10 * 60_000
const VERSION_LIMIT_MS = 10_000

type PackageManager = 'apt' | 'dnf' | 'brew'

interface Prerequisite {
  readonly label: string
  readonly packages: Readonly<Record<PackageManager, string>>
}

const PREREQUISITES: Readonly<Record<PrerequisiteName, Prerequisite>> = {
  java: {
    label: `Java ${JAVA_MAJOR_MIN} or newer (runs Kafka)`,
    packages: { apt: 'openjdk-17-jre-headless', dnf: 'java-21-openjdk-headless', brew: 'openjdk' },
  },
  maven: {
    label: "Maven (fetches Kafka's jars)",
    packages: { apt: 'maven', dnf: 'maven', brew: 'maven' },
  },
  redis: {
    label: 'redis-server (keeps the features)',
    packages: { apt: 'redis-server', dnf: 'redis', brew: 'redis' },
  },
  // promtool comes with it. Debian's package also starts a service on 9090 where systemd runs; Sluice's Prometheus
  // takes a free port.
  prometheus: {
    label: 'prometheus with promtool (checks the alert rules)',
    packages: { apt: 'prometheus', dnf: 'golang-github-prometheus', brew: 'prometheus' },
  },
}

/** Facts about the machine; an argument so that tests can simulate another machine. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly searchPath: string | undefined
  readonly javaHome: string | undefined
  readonly isRoot: boolean
}

/** The machine that this process runs on. */
export function thisMachine(env: NodeJS.ProcessEnv): Machine {
  return {
    platform: process.platform,
    searchPath: env['PATH'],
    javaHome: env['JAVA_HOME'],
    isRoot: process.getuid?.() === 0,
  }
}

/** Full path of a working program, or null. Java counts only when it is new enough. */
export async function findPrerequisite(
  name: PrerequisiteName,
  machine: Machine,
): Promise<string | null> {
  switch (name) {
    case 'java': {
      const java = findJava(machine)
      const major = java === null ? null : await javaMajor(java)
      return major !== null && major >= JAVA_MAJOR_MIN ? java : null
    }
    case 'maven':
      return findProgram('mvn', machine.searchPath)
    case 'redis':
      return findProgram('redis-server', machine.searchPath, brewFolders(machine))
    case 'prometheus':
      return findPrometheus(machine)
  }
}

/** Major version of a Java program; null when it does not run (like the stand-in that macOS ships). */
export async function javaMajor(java: string): Promise<number | null> {
  const { code, output } = await runProgram(java, ['-version'], { limitMs: VERSION_LIMIT_MS })
  return code === 0 ? parseJavaMajor(output) : null
}

/** Reads 17 from `openjdk version "17.0.15"`, 8 from `"1.8.0_402"`; null when there is no version. */
export function parseJavaMajor(text: string): number | null {
  const [, major] = /version "(?:1\.)?(\d+)/.exec(text) ?? []
  return major === undefined ? null : Number(major)
}

/**
 * Finds all named programs; as root on Debian it installs the missing ones with apt. @throws SluiceError
 * SLUICE_PREREQUISITE_MISSING naming all missing programs, and the command to run.
 */
export async function requirePrerequisites(
  names: readonly PrerequisiteName[],
  machine: Machine,
  onProgress: (line: string) => void,
  signal?: AbortSignal,
): Promise<ReadonlyMap<PrerequisiteName, string>> {
  let { found, missing } = await lookFor(names, machine)
  if (missing.length === 0) return found
  let aptOutput = ''
  if (packageManager(machine) === 'apt' && machine.isRoot) {
    aptOutput = await installWithApt(missing, onProgress, signal)
    ;({ found, missing } = await lookFor(names, machine))
    if (missing.length === 0) return found
  }
  throw missingError(missing, machine, aptOutput)
}

/** The error for missing programs: each named, and one command that installs them all. */
export function missingError(
  missing: readonly PrerequisiteName[],
  machine: Machine,
  installerOutput = '',
): SluiceError {
  const labels = missing.map((name) => `  - ${PREREQUISITES[name].label}`).join('\n')
  const tail = installerOutput.trimEnd().split('\n').slice(-4).join('\n')
  const tried = installerOutput === '' ? '' : `\nInstalling it was tried and failed:\n${tail}`
  return new SluiceError(
    'SLUICE_PREREQUISITE_MISSING',
    `Missing on this machine:\n${labels}${tried}\n${remedyFor(missing, machine)}`,
    { details: { missing } },
  )
}

/** The remedy for missing programs, as one sentence with the exact command. */
export function remedyFor(missing: readonly PrerequisiteName[], machine: Machine): string {
  const manager = packageManager(machine)
  if (manager === null) {
    const labels = missing.map((name) => PREREQUISITES[name].label).join(', ')
    return `Install ${labels} and put the programs on the PATH; or start Docker; or give SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL.`
  }
  const packages = missing.map((name) => PREREQUISITES[name].packages[manager]).join(' ')
  const root = machine.isRoot ? '' : 'sudo '
  const command = {
    apt: `${root}apt-get install -y ${packages}`,
    dnf: `${root}dnf install -y ${packages}`,
    brew: `brew install ${packages}`,
  }[manager]
  return `Run: ${command}`
}

async function lookFor(
  names: readonly PrerequisiteName[],
  machine: Machine,
): Promise<{ found: Map<PrerequisiteName, string>; missing: PrerequisiteName[] }> {
  const found = new Map<PrerequisiteName, string>()
  const missing: PrerequisiteName[] = []
  await Promise.all(
    names.map(async (name) => {
      const path = await findPrerequisite(name, machine)
      if (path === null) missing.push(name)
      else found.set(name, path)
    }),
  )
  return { found, missing: missing.sort() }
}

/** Counts only with promtool beside it, as packages install them. */
function findPrometheus(machine: Machine): string | null {
  const prometheus = findProgram('prometheus', machine.searchPath, brewFolders(machine))
  return prometheus !== null && existsSync(promtoolBeside(prometheus)) ? prometheus : null
}

/** Path of the promtool that came with this prometheus. */
export function promtoolBeside(prometheus: string): string {
  return join(dirname(prometheus), 'promtool')
}

function findJava(machine: Machine): string | null {
  const homes = machine.javaHome === undefined ? [] : [join(machine.javaHome, 'bin')]
  const kegs = brewFolders(machine).map((folder) => join(folder, '..', 'opt', 'openjdk', 'bin'))
  return findProgram('java', machine.searchPath, [...homes, ...kegs])
}

/** Homebrew's folders, which are not on the PATH of every shell. */
function brewFolders(machine: Machine): string[] {
  if (machine.platform !== 'darwin') return []
  return ['/opt/homebrew/bin', '/usr/local/bin'].filter((folder) => existsSync(folder))
}

function packageManager(machine: Machine): PackageManager | null {
  if (machine.platform === 'darwin') return 'brew'
  if (machine.platform !== 'linux') return null
  if (findProgram('apt-get', machine.searchPath) !== null) return 'apt'
  return findProgram('dnf', machine.searchPath) === null ? null : 'dnf'
}

/** Returns apt's output. The lists are refreshed only when a package is not found otherwise. */
async function installWithApt(
  missing: readonly PrerequisiteName[],
  onProgress: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const packages = missing.map((name) => PREREQUISITES[name].packages.apt)
  const options = { limitMs: APT_LIMIT_MS, env: { DEBIAN_FRONTEND: 'noninteractive' }, signal }
  const install = ['-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'install']
  onProgress(`installing ${packages.join(', ')} with apt`)
  const first = await runProgram('apt-get', [...install, ...packages], options)
  if (first.code === 0 || signal?.aborted === true) return first.output
  onProgress('refreshing the package lists (apt-get update)')
  await runProgram('apt-get', ['update'], options)
  onProgress(`installing ${packages.join(', ')} with apt, second try`)
  return (await runProgram('apt-get', [...install, ...packages], options)).output
}
