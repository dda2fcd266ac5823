// The machine: memory, disk and ports.

import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { join } from 'node:path'
import { BACKENDS } from '../../services/core/scoring/scoring-model.ts'
import { loadKernel } from '../../services/platform/compiled-net/compiled-scorer.ts'
import { BackendProblem, openBackend } from '../../services/platform/tensorflow/load-tensorflow.ts'
import { dockerEngineVersion } from '../servers/compose.ts'
import { hasJars } from '../servers/local-kafka.ts'
import { isPortFree } from '../servers/ports.ts'
import { findPrerequisite, javaMajor, type Machine, remedyFor } from '../servers/prerequisites.ts'
import { runProgram } from '../servers/run-program.ts'
import { readRecord, type StackPaths } from '../servers/stack-record.ts'
import { type Check, fail, type Finding, ok, warn } from './finding.ts'

const GIB = 1024 ** 3
// Kafka takes up to 0.8 GiB, Redis and two Node processes the rest.
const MEMORY_BYTES_MIN = 1 * GIB
const MEMORY_BYTES_GOOD = 2 * GIB
const DISK_BYTES_MIN = 1 * GIB
const DISK_BYTES_GOOD = 5 * GIB
const DEFAULT_PORTS = [19_092, 19_093, 16_379]

/** Checks of the machine's free memory, disk and ports. */
export function machineChecks(paths: StackPaths): readonly Check[] {
  return [
    { name: 'Memory', look: () => Promise.resolve(checkMemory(availableBytes())) },
    { name: 'Disk', look: () => checkDisk(paths.root) },
    { name: 'Ports', look: () => checkPorts(paths) },
  ]
}

/** Judges available memory, in bytes. */
export function checkMemory(bytes: number): Omit<Finding, 'name'> {
  const seen = `${(bytes / GIB).toFixed(1)} GiB available`
  if (bytes >= MEMORY_BYTES_GOOD) return ok(seen)
  const remedy = 'End other programs; 2 GiB are enough for all of Sluice on one machine.'
  return bytes >= MEMORY_BYTES_MIN ? warn(seen, remedy) : fail(seen, remedy)
}

async function checkDisk(folder: string): Promise<Omit<Finding, 'name'>> {
  const { bavail, bsize } = await statfs(folder)
  const bytes = bavail * bsize
  const seen = `${(bytes / GIB).toFixed(1)} GiB free at ${folder}`
  if (bytes >= DISK_BYTES_GOOD) return ok(seen)
  const remedy = "Free some space; Kafka's log lies in .sluice/ and grows with what is streamed."
  return bytes >= DISK_BYTES_MIN ? warn(seen, remedy) : fail(seen, remedy)
}

async function checkPorts(paths: StackPaths): Promise<Omit<Finding, 'name'>> {
  const record = readRecord(paths.recordFile)
  const ours = [...(record.kafka?.ports ?? []), ...(record.redis?.ports ?? [])]
  const others = DEFAULT_PORTS.filter((port) => !ours.includes(port))
  const free = await Promise.all(others.map(isPortFree))
  const taken = others.filter((_, index) => free[index] === false)
  if (taken.length === 0) {
    return ok(
      ours.length > 0 ? `in use by Sluice: ${ours.join(', ')}` : `free: ${others.join(', ')}`,
    )
  }
  return warn(
    `used by something else: ${taken.join(', ')}`,
    '"sluice up" takes the next free ports and says which; nothing needs to be done.',
  )
}

/** Memory available without swapping, within the limit of a container. */
function availableBytes(): number {
  const text = existsSync('/proc/meminfo') ? readFileSync('/proc/meminfo', 'utf8') : ''
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1]
  const machine = kibibytes === undefined ? freemem() : Number(kibibytes) * 1024
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(machine, limit) : machine
}

// Programs and packages: Node, the npm dependencies, Java, Maven, Redis, Docker.

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

/** Compares a Node version such as 24.11.1 with the oldest supported one. */
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
  if (java !== null) return ok(`${(await javaMajor(java)) ?? 'unknown version'} (${java})`)
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
  // As root on Debian, `sluice up` installs it by itself.
  if (machine.isRoot && remedy.includes('apt-get')) {
    return warn('not found; "sluice up" will install it', remedy)
  }
  return fail('not found', remedy)
}

// The scoring backends that load here. The optional ones need native libraries that npm cannot always install.

/** Tries one backend. Resolves to a description; rejects with the reason why it does not work. */
export interface BackendProbe {
  readonly name: string
  readonly probe: () => Promise<string>
}

/** The scorer's own ladder also asks each to reproduce the model's golden vectors. */
const DEFAULT_BACKEND_PROBES: readonly BackendProbe[] = BACKENDS.map((name) => ({
  name,
  probe: async () => {
    if (name === 'compiled') {
      await loadKernel()
      return 'computes (CPU, WebAssembly with SIMD)'
    }
    const { detail } = await openBackend(name)
    return `computes (${detail})`
  },
}))

const REASON_CHARACTERS_MAX = 120

/** One check over all backends: ok when a fast one loads and no installed one fails. */
export function backendCheck(probes: readonly BackendProbe[] = DEFAULT_BACKEND_PROBES): Check {
  return {
    name: 'Scoring backends',
    async look() {
      const loaded: string[] = []
      const seen: string[] = []
      let isRefused = false
      // One after another: they share TensorFlow.js's registry of backends.
      for (const { name, probe } of probes) {
        try {
          seen.push(`${name}: ${await probe()}`)
          loaded.push(name)
        } catch (error) {
          isRefused ||= !isAbsent(error)
          seen.push(`${name}: ${reasonOf(error)}`)
        }
      }
      const text = seen.join('; ')
      if (loaded.length === 0) return fail(text, 'Run "npm ci" to bring back the npm dependencies.')
      if (loaded.every((name) => name === 'cpu')) {
        return warn(text, 'Only the slow backend loads. Run "npm ci" to bring back the wasm one.')
      }
      if (isRefused) {
        const remedy =
          'What is installed does not compute here. "sluice tensorflow install --force" makes it again; ' +
          'see docs/backends.md.'
        return warn(text, remedy)
      }
      return ok(text)
    },
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof BackendProblem && error.refusal === null
}

/** A missing backend is not a failure: wasm works without it. */
function reasonOf(error: unknown): string {
  if (isAbsent(error)) return 'not installed (optional: "sluice tensorflow install")'
  const message = error instanceof Error ? error.message : String(error)
  return `does not compute (${(message.split('\n')[0] ?? '').slice(0, REASON_CHARACTERS_MAX)})`
}
