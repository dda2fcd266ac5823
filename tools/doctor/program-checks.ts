// Programs and packages: Node, the npm dependencies, Java, Maven, Redis, Docker.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dockerEngineVersion } from '../servers/compose.ts'
import { hasJars } from '../servers/kafka-jars.ts'
import { findPrerequisite, javaMajor, remedyFor, type Machine } from '../servers/prerequisites.ts'
import { runProgram } from '../servers/run-program.ts'
import type { StackPaths } from '../servers/stack-paths.ts'
import { fail, ok, warn, type Check, type Finding } from './finding.ts'

const VERSION_LIMIT_MS = 10_000

export interface ProgramChecksOptions {
  readonly paths: StackPaths
  readonly machine: Machine
  /** True when Kafka, or Redis, need not run as local processes here. */
  readonly kafkaIsElsewhere: boolean
  readonly redisIsElsewhere: boolean
}

/** Checks of what must be installed. */
export function programChecks(options: ProgramChecksOptions): readonly Check[] {
  const { paths, machine } = options
  return [
    {
      name: 'Node',
      look: () => Promise.resolve(checkNode(process.versions.node, oldestNode(paths.root))),
    },
    { name: 'npm dependencies', look: () => Promise.resolve(checkDependencies(paths.root)) },
    { name: 'Java', look: () => checkJava(machine, options.kafkaIsElsewhere) },
    { name: 'Maven', look: () => checkMaven(paths, machine, options.kafkaIsElsewhere) },
    { name: 'redis-server', look: () => checkRedisServer(machine, options.redisIsElsewhere) },
    { name: 'Docker', look: () => checkDocker(machine) },
  ]
}

/** The oldest Node that runs Sluice, by package.json. Its field `engines` names the oldest that starts the bootstrap. */
function oldestNode(root: string): string {
  const { devEngines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly devEngines: { readonly runtime: { readonly version: string } }
  }
  return devEngines.runtime.version.replace('>=', '')
}

/** Judges a Node version such as 24.11.1 by the oldest that is good enough. */
export function checkNode(version: string, oldest: string): Omit<Finding, 'name'> {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [majorMin = 0, minorMin = 0] = oldest.split('.').map(Number)
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return ok(version)
  return fail(version, `Install Node ${oldest} or newer.`)
}

function checkDependencies(root: string): Omit<Finding, 'name'> {
  // npm writes this file when an install is complete.
  if (existsSync(join(root, 'node_modules', '.package-lock.json'))) return ok('installed')
  return fail('node_modules is missing or half installed', 'Run: npm ci')
}

async function checkJava(machine: Machine, isElsewhere: boolean): Promise<Omit<Finding, 'name'>> {
  const java = await findPrerequisite('java', machine)
  if (java !== null) return ok(`${await javaMajor(java)} (${java})`)
  return missing('java', machine, isElsewhere)
}

async function checkMaven(
  paths: StackPaths,
  machine: Machine,
  isElsewhere: boolean,
): Promise<Omit<Finding, 'name'>> {
  const maven = await findPrerequisite('maven', machine)
  if (maven !== null) return ok(maven)
  if (hasJars(paths.pomFile, paths.kafkaFolder))
    return ok("not found; Kafka's jars are there already")
  return missing('maven', machine, isElsewhere)
}

async function checkRedisServer(
  machine: Machine,
  isElsewhere: boolean,
): Promise<Omit<Finding, 'name'>> {
  const redis = await findPrerequisite('redis', machine)
  if (redis === null) return missing('redis', machine, isElsewhere)
  const { output } = await runProgram(redis, ['--version'], { limitMs: VERSION_LIMIT_MS })
  return ok(`${/v=(\S+)/.exec(output)?.[1] ?? 'unknown version'} (${redis})`)
}

async function checkDocker(machine: Machine): Promise<Omit<Finding, 'name'>> {
  const version = await dockerEngineVersion(machine.searchPath)
  if (version !== null) return ok(`engine ${version} answers`)
  return ok('no engine answers; Kafka and Redis run as local processes')
}

function missing(
  name: 'java' | 'maven' | 'redis',
  machine: Machine,
  isElsewhere: boolean,
): Omit<Finding, 'name'> {
  if (isElsewhere) return ok('not found, and not needed with the servers in use')
  const remedy = remedyFor([name], machine)
  // As root on a Debian `sluice up` installs it by itself.
  if (machine.isRoot && remedy.includes('apt-get')) {
    return warn('not found; "sluice up" will install it', remedy)
  }
  return fail('not found', remedy)
}
