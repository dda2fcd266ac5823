// An archive of the classes that a Kafka broker loads (class data sharing). A JVM that maps it starts with about half
// of the processor time, and a run of all suites starts some eighty of them. A JVM that cannot use the archive, because
// it is another version or has other jars, ignores it.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fillTemplate, hasJars, jarsFolder } from '../../tools/servers/local-kafka.ts'
import { isListening } from '../../tools/servers/ports.ts'
import { findPrerequisite, thisMachine } from '../../tools/servers/prerequisites.ts'
import { withRunLock } from '../../tools/servers/run-lock.ts'
import { runProgram } from '../../tools/servers/run-program.ts'
import { stackPaths } from '../../tools/servers/stack-record.ts'
import { claimPorts } from './claims.ts'
import { eventually } from './poll.ts'

/** The launcher of Java adds these options to those of every command line. */
const OPTIONS_VARIABLE = 'JDK_JAVA_OPTIONS'
const PROGRAM_LIMIT_MS = 60_000
const CLUSTER_ID = 'AAAAAAAAAAAAAAAAAAAAAA'
/** As the stack's broker: an archive is of one collector and one set of jars. */
const FLAGS = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

export interface ClassArchiveOptions {
  readonly root: string
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/**
 * Makes the archive if it is missing, and has every JVM of this run use it. Without Java or Kafka's jars, as in a run on
 * containers, nothing happens; nor where the environment has options for Java, such as those of an outer run. A JVM that
 * makes no archive is reported, and brokers start without one.
 */
export async function useClassArchive(options: ClassArchiveOptions): Promise<void> {
  const { root, onProgress, signal } = options
  const { pomFile, kafkaFolder } = stackPaths(root)
  if (process.env[OPTIONS_VARIABLE] !== undefined) return
  const java = await findPrerequisite('java', thisMachine(process.env))
  if (java === null || !hasJars(pomFile, kafkaFolder)) return
  const jars = jarsFolder(pomFile, kafkaFolder)
  const { output: version } = await runProgram(java, ['-version'], { limitMs: PROGRAM_LIMIT_MS })
  const digest = createHash('sha256').update(jars).update(version).digest('hex')
  const archive = join(kafkaFolder, `classes-${digest.slice(0, 12)}.jsa`)
  const onWait = (pid: number): void => {
    onProgress(`Kafka: process ${pid} makes the archive of its classes`)
  }
  await withRunLock(`${archive}.lock`, { onWait, signal }, async () => {
    if (existsSync(archive)) return
    onProgress('Kafka: making an archive of its classes (once)')
    await makeArchive(java, join(jars, '*'), root, archive).catch((error: unknown) => {
      onProgress(`Kafka: no archive of its classes, so brokers start slower: ${String(error)}`)
    })
  })
  if (existsSync(archive)) process.env[OPTIONS_VARIABLE] = archiveOptions(archive)
}

/** Options of a JVM that uses the archive, and is silent when it cannot. */
export function archiveOptions(archive: string): string {
  return `"-XX:SharedArchiveFile=${archive}" -Xlog:disable -Xlog:all=error:stderr`
}

/** Starts a broker without data and ends it: the JVM writes the archive when it exits. */
async function makeArchive(
  java: string,
  classpath: string,
  root: string,
  archive: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-classes-'))
  const claim = await claimPorts(2)
  const [brokerPort = 0, controllerPort = 0] = claim.ports
  try {
    const settingsFile = join(folder, 'server.properties')
    const template = readFileSync(stackPaths(root).kafkaTemplate, 'utf8')
    const settings = fillTemplate(template, {
      BROKER_PORT: String(brokerPort),
      CONTROLLER_PORT: String(controllerPort),
      DATA_FOLDER: join(folder, 'data'),
    })
    mkdirSync(join(folder, 'data'))
    writeFileSync(settingsFile, settings)
    const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', settingsFile]
    const formatted = await runProgram(java, [...FLAGS, '-cp', classpath, ...format], {
      limitMs: PROGRAM_LIMIT_MS,
    })
    if (formatted.code !== 0) throw new Error(formatted.output)
    const fresh = `${archive}.fresh`
    rmSync(fresh, { force: true })
    const dump = [`-XX:ArchiveClassesAtExit=${fresh}`, '-Xlog:disable']
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
    const broker = [...FLAGS, ...dump, quiet, '-cp', classpath, 'kafka.Kafka', settingsFile]
    const child = spawn(java, broker, { stdio: 'ignore' })
    const exited = once(child, 'exit')
    try {
      await eventually('the broker listens', () => isListening(brokerPort))
      child.kill('SIGTERM')
      await Promise.race([exited, once(AbortSignal.timeout(PROGRAM_LIMIT_MS), 'abort')])
    } finally {
      child.kill('SIGKILL')
      await exited
    }
    renameSync(fresh, archive)
  } finally {
    await claim.release()
    rmSync(folder, { recursive: true, force: true })
  }
}
