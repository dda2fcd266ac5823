// Kafka's jars, fetched once by Maven into a folder that is named after what was asked for. The folder gets its
// name only when it is complete, so a killed download is simply done again.

import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { runProgram } from './run-program.ts'

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
 * Fetches the jars unless they are there, and returns their folder.
 * @throws SluiceError SLUICE_PROVISION_FAILED with Maven's last words.
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

/** Half-finished folders of runs that were killed, and jars of earlier poms. The caller holds the run lock. */
function removeLeftovers(folder: string): void {
  const parent = dirname(folder)
  if (!existsSync(parent)) return
  for (const name of readdirSync(parent)) {
    if (name.startsWith('lib-') && name !== basename(folder)) {
      rmSync(join(parent, name), { recursive: true, force: true })
    }
  }
}
