// The auditor's own reader of Kafka: librdkafka through Python, in an environment below .sluice. It does not share the
// read errors of the services.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { SluiceError } from '../../services/core/errors.ts'
import { withRunLock } from '../../tools/servers/run-lock.ts'

const ROOT = join(import.meta.dirname, '../..')
const REQUIREMENTS = join(import.meta.dirname, 'auditor-requirements.txt')
const READER = join(import.meta.dirname, 'committed-log.py')
const PYTHON = 'python3'

/** One committed message. */
export interface AuditedMessage {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly key: Buffer | null
  readonly value: Buffer | null
}

export interface InstallAuditorOptions {
  readonly onProgress: (line: string) => void
  readonly signal?: AbortSignal | undefined
}

/** One folder per list of packages, so that a changed list is installed again. */
function folderOf(): string {
  const digest = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex')
  return join(ROOT, '.sluice', `auditor-${digest.slice(0, 12)}`)
}

/** Installs the reader if it is missing. @throws SluiceError SLUICE_PREREQUISITE_MISSING */
export async function installAuditor({ onProgress, signal }: InstallAuditorOptions): Promise<void> {
  const folder = folderOf()
  const installed = join(folder, 'installed')
  const onWait = (pid: number): void => {
    onProgress(`auditor: process ${pid} installs it`)
  }
  mkdirSync(join(ROOT, '.sluice'), { recursive: true })
  await withRunLock(`${folder}.lock`, { onWait, signal }, async () => {
    if (existsSync(installed)) return
    onProgress('auditor: installing librdkafka for Python')
    rmSync(folder, { recursive: true, force: true })
    const run = promisify(execFile)
    try {
      await run(PYTHON, ['-m', 'venv', folder], { signal })
      const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
      await run(join(folder, 'bin/python'), [...install, '--requirement', REQUIREMENTS], { signal })
    } catch (error) {
      throw new SluiceError(
        'SLUICE_PREREQUISITE_MISSING',
        'The auditor of the tests cannot be installed; it needs python3 with its modules venv and pip ' +
          '(Debian: apt-get install python3-venv), and a package index that pip reaches.',
        { cause: error },
      )
    }
    writeFileSync(installed, '')
  })
}

/** Every committed message of the topics from their beginning to their end, by partition in offset order. */
export async function readCommitted(
  brokers: readonly string[],
  topics: readonly string[],
): Promise<readonly AuditedMessage[]> {
  await installAuditor({ onProgress: () => undefined })
  const python = join(folderOf(), 'bin/python')
  const child = spawn(python, [READER, brokers.join(','), ...topics], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close') as Promise<[number | null]>
  const failure = text(child.stderr)
  const messages: AuditedMessage[] = []
  for await (const line of createInterface({ input: child.stdout, crlfDelay: Infinity })) {
    const [topic, partition, offset, key, value] = JSON.parse(line) as AuditedLine
    messages.push({ topic, partition, offset, key: bytesOf(key), value: bytesOf(value) })
  }
  const [code] = await closed
  if (code !== 0) throw new Error(`The auditor's reader ended with ${code}:\n${await failure}`)
  return messages
}

type AuditedLine = readonly [
  topic: string,
  partition: number,
  offset: number,
  key: string | null,
  value: string | null,
]

function bytesOf(base64: string | null): Buffer | null {
  return base64 === null ? null : Buffer.from(base64, 'base64')
}
