// Kafka as a local process: one KRaft node from Maven jars, its settings from infra/kafka/server.properties.

import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import { localKafkaAnswers } from './health.ts'
import type { LocalServer } from './local-server.ts'
import type { PrerequisiteName } from './prerequisites.ts'
import { runProgram } from './run-program.ts'
import type { StackPaths } from './stack-record.ts'

const FIRST_PORT = 19_092
const GRACE_MS = 15_000
const FORMAT_LIMIT_MS = 60_000

/**
 * The broker's heap is bounded. It uses only the first JIT compiler: the second takes half of a small machine in the
 * first minutes (docs/adr/0031).
 */
const JVM_FLAGS = [
  ...['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-Xshare:auto'],
  '-XX:TieredStopAtLevel=1',
]
const LOG_FLAGS = [
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS',
]

export interface LocalKafkaOptions {
  readonly paths: StackPaths
  /** Finds (or installs) the programs; called only when something must be started. */
  readonly programs: () => Promise<ReadonlyMap<PrerequisiteName, string>>
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

/** Programs that a local Kafka needs now; Maven only while the jars are missing. */
export function kafkaNeeds(paths: StackPaths): readonly PrerequisiteName[] {
  return hasJars(paths.pomFile, paths.kafkaFolder) ? ['java'] : ['java', 'maven']
}

/** Hash of everything that shapes the broker. */
function kafkaConfigHash(paths: StackPaths): string {
  return createHash('sha256')
    .update(readFileSync(paths.pomFile))
    .update(readFileSync(paths.kafkaTemplate))
    .update([...JVM_FLAGS, ...LOG_FLAGS].join(' '))
    .digest('hex')
    .slice(0, 16)
}

/** Fills in ${NAME} in the template. @throws SluiceError SLUICE_PROVISION_FAILED for a name without a value. */
export function fillTemplate(template: string, values: Readonly<Record<string, string>>): string {
  return template.replace(/\$\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name]
    if (value !== undefined) return value
    throw new SluiceError(
      'SLUICE_PROVISION_FAILED',
      `infra/kafka/server.properties uses ${whole}, which has no value. Use one of ${Object.keys(values).join(', ')}.`,
    )
  })
}

/** The local Kafka as a LocalServer. */
export function localKafka(options: LocalKafkaOptions): LocalServer {
  const { paths } = options
  const dataFolder = join(paths.kafkaFolder, 'data')
  const settingsFile = join(paths.kafkaFolder, 'server.properties')
  const classpath = join(jarsFolder(paths.pomFile, paths.kafkaFolder), '*')
  let java = 'java'
  return {
    name: 'Kafka',
    configHash: kafkaConfigHash(paths),
    firstPort: FIRST_PORT,
    portCount: 2,
    dataFolder,
    logFile: join(paths.kafkaFolder, 'kafka.log'),
    graceMs: GRACE_MS,
    async prepare(ports) {
      const programs = await options.programs()
      java = programs.get('java') ?? java
      await fetchJars(programs.get('maven') ?? 'mvn', {
        pomFile: paths.pomFile,
        kafkaFolder: paths.kafkaFolder,
        onProgress: options.onProgress,
        signal: options.signal,
      })
      const template = readFileSync(paths.kafkaTemplate, 'utf8')
      const settings = (folder: string): string =>
        fillTemplate(template, {
          BROKER_PORT: String(ports[0]),
          CONTROLLER_PORT: String(ports[1]),
          DATA_FOLDER: folder,
        })
      await formatIfNeeded(
        dataFolder,
        settings,
        (file) =>
          runProgram(
            java,
            [
              ...['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto', '-cp', classpath],
              ...['kafka.tools.StorageTool', 'format', '-t', newClusterId(), '-c', file],
            ],
            { limitMs: FORMAT_LIMIT_MS, signal: options.signal },
          ),
        options.onProgress,
      )
      writeFileAtomically(settingsFile, settings(dataFolder))
    },
    command: () => ({
      file: java,
      args: [...JVM_FLAGS, ...LOG_FLAGS, '-cp', classpath, 'kafka.Kafka', settingsFile],
    }),
    answers: (port) => localKafkaAnswers(port, clusterIdOf(dataFolder)),
  }
}

/** Formats a temporary folder and renames it, so that the data folder is either absent or complete. */
async function formatIfNeeded(
  dataFolder: string,
  settings: (folder: string) => string,
  format: (settingsFile: string) => Promise<{ code: number | null; output: string }>,
  onProgress: (line: string) => void,
): Promise<void> {
  if (existsSync(join(dataFolder, 'meta.properties'))) return
  const fresh = `${dataFolder}.fresh`
  const freshSettings = `${dataFolder}.fresh.properties`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true })
  writeFileAtomically(freshSettings, settings(fresh))
  const { code, output } = await format(freshSettings)
  rmSync(freshSettings, { force: true })
  if (code !== 0) {
    throw new SluiceError(
      'SLUICE_PROVISION_FAILED',
      `Kafka could not format ${fresh}:\n${output.trimEnd()}\nCheck free disk space and rights on that folder.`,
    )
  }
  if (existsSync(dataFolder)) keepUnformatted(dataFolder, onProgress)
  renameSync(fresh, dataFolder)
}

/** A data folder that lost its meta.properties cannot be used; it is moved aside so that a person can examine it. */
function keepUnformatted(dataFolder: string, onProgress: (line: string) => void): void {
  const aside = `${dataFolder}.broken`
  rmSync(aside, { recursive: true, force: true })
  if (readdirSync(dataFolder).length === 0) {
    rmSync(dataFolder, { recursive: true })
    return
  }
  renameSync(dataFolder, aside)
  onProgress(`Kafka: ${dataFolder} has no meta.properties; moved to ${aside}, starting empty`)
}

/** The cluster id of a formatted data folder; empty when it has none. */
function clusterIdOf(dataFolder: string): string {
  const meta = readFileIfPresent(join(dataFolder, 'meta.properties')) ?? ''
  return /^cluster\.id=(.+)$/m.exec(meta)?.[1]?.trim() ?? ''
}

/** 16 random bytes as Kafka writes them. A leading dash would be read as an option. */
function newClusterId(): string {
  const id = randomBytes(16).toString('base64url')
  return id.startsWith('-') ? `A${id.slice(1)}` : id
}

// Kafka's jars, fetched once by Maven into a folder named after the request. The folder gets its name only when it is
// complete, so a killed download starts again.

const FETCH_LIMIT_MS = 10 * 60_000
const ATTEMPTS_MAX = 2
const PROGRESS_EVERY_MS = 5_000
const MAIN_JAR = /^kafka_2\.13-.*\.jar$/

export interface KafkaJarsOptions {
  readonly pomFile: string
  /** Folder below which `lib-<hash>` is kept. */
  readonly kafkaFolder: string
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

/** Folder in which the jars of this pom are, or will be. */
export function jarsFolder(pomFile: string, kafkaFolder: string): string {
  const hash = createHash('sha256').update(readFileSync(pomFile)).digest('hex').slice(0, 12)
  return join(kafkaFolder, `lib-${hash}`)
}

/** True when the jars of this pom are there. */
export function hasJars(pomFile: string, kafkaFolder: string): boolean {
  const folder = jarsFolder(pomFile, kafkaFolder)
  return existsSync(folder) && readdirSync(folder).some((name) => MAIN_JAR.test(name))
}

/**
 * Fetches the jars unless they are present, and returns their folder. @throws SluiceError SLUICE_PROVISION_FAILED with
 * the end of Maven's output.
 */
export async function fetchJars(maven: string, options: KafkaJarsOptions): Promise<string> {
  const { pomFile, kafkaFolder } = options
  const folder = jarsFolder(pomFile, kafkaFolder)
  if (hasJars(pomFile, kafkaFolder)) return folder
  removeLeftovers(folder)
  options.onProgress('Kafka: fetching its jars with Maven (about 45 MB, once)')
  let output = ''
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    const temporary = `${folder}.${process.pid}.${attempt}.tmp`
    mkdirSync(temporary, { recursive: true })
    const result = await runMaven(maven, temporary, options)
    options.signal?.throwIfAborted()
    if (result.code === 0 && readdirSync(temporary).some((name) => MAIN_JAR.test(name))) {
      rmSync(folder, { recursive: true, force: true })
      renameSync(temporary, folder)
      return folder
    }
    output = result.output
    rmSync(temporary, { recursive: true, force: true })
    if (attempt < ATTEMPTS_MAX) options.onProgress('Kafka: Maven failed; trying once more')
  }
  const tail = output.trimEnd().split('\n').slice(-6).join('\n')
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `Maven could not fetch the jars that ${pomFile} names:\n${tail}\nCheck the network and Maven's settings (~/.m2/settings.xml), then run "sluice up" again.`,
  )
}

async function runMaven(
  maven: string,
  outputFolder: string,
  options: KafkaJarsOptions,
): Promise<{ code: number | null; output: string }> {
  const startedMs = performance.now()
  const progress = setInterval(() => {
    const seconds = Math.round((performance.now() - startedMs) / 1000)
    options.onProgress(`Kafka: Maven still fetches, ${seconds} s`)
  }, PROGRESS_EVERY_MS)
  try {
    return await runProgram(
      maven,
      [
        ...['-q', '-B', '-f', options.pomFile],
        'dependency:copy-dependencies',
        `-DoutputDirectory=${outputFolder}`,
      ],
      { limitMs: FETCH_LIMIT_MS, signal: options.signal },
    )
  } finally {
    clearInterval(progress)
  }
}

/** Removes incomplete folders of killed runs, and jars of earlier poms. The caller holds the run lock. */
function removeLeftovers(folder: string): void {
  const parent = dirname(folder)
  if (!existsSync(parent)) return
  for (const name of readdirSync(parent)) {
    if (name.startsWith('lib-') && name !== basename(folder)) {
      rmSync(join(parent, name), { recursive: true, force: true })
    }
  }
}
