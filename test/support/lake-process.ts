// `sluice lake` in its own process that tests can kill, and the expected rows of a lake: all messages that a
// read-committed reader of the same topics sees.

import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { queryLake } from '../../services/lake/index.ts'
import type { TestStream } from './streams.ts'

const ROOT = join(import.meta.dirname, '../..')

export interface LakeRun {
  /** Exit code; null after a signal. */
  readonly code: number | null
  readonly stderr: string
}

export interface RunOptions {
  /** File-system step of the lake just before which it is killed; 0 for none. */
  readonly crashAt?: number
  /** Called with its standard error so far; may kill it. */
  readonly onOutput?: (text: string, kill: () => void) => void
}

/** Runs `sluice lake` with these arguments to its end. */
export async function runLake(
  stream: Pick<TestStream, 'environment'>,
  args: readonly string[],
  { crashAt = 0, onOutput }: RunOptions = {},
): Promise<LakeRun> {
  const loaders = ['--import', './test/support/crash-at.ts']
  const child = spawn(process.execPath, [...loaders, 'services/cli/main.ts', 'lake', ...args], {
    cwd: ROOT,
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      ...stream.environment(),
      CRASH_AT: String(crashAt),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    onOutput?.(stderr, () => child.kill('SIGKILL'))
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stderr }
}

/** Every row of the topics, as one line each, sorted. */
export async function linesOfTopics(stream: TestStream): Promise<readonly string[]> {
  const { codecs, prefix, brokers } = stream
  const lines: string[] = []
  const topics = (['transactions', 'labels', 'decisions', 'dead-letters'] as const).map((topic) =>
    topicName(prefix, topic),
  )
  await readToEnd(
    { brokers, name: 'sluice-test-lake', topics, startAt: 'beginning' },
    ({ topic, partition, messages }) => {
      for (const { offset, value } of messages) {
        const place = `${partition}/${offset}`
        if (topic === topicName(prefix, 'transactions')) {
          const decoded = codecs.decodeTransactionMessage(value)
          if (decoded.kind === 'transaction') {
            lines.push(`transactions ${place} ${decoded.value.id} ${decoded.value.amountMinor}`)
          }
        } else if (topic === topicName(prefix, 'labels')) {
          const decoded = codecs.decodeLabelMessage(value)
          if (decoded.kind === 'label') {
            lines.push(`labels ${place} ${decoded.value.transactionId} ${decoded.value.verdict}`)
          }
        } else if (topic === topicName(prefix, 'decisions')) {
          const decoded = codecs.decisionBatch.decode(value)
          if (!decoded.ok) continue
          for (const decision of decoded.value.decisions) {
            const { offset: of, revision, outcome, score } = decision
            lines.push(
              `decisions ${partition}/${of}/${revision} ${offset} ${outcome} ${score ?? 'none'}`,
            )
          }
        } else {
          const decoded = codecs.deadLetter.decode(value)
          if (decoded.ok) lines.push(`dead_letters ${place} ${decoded.value.reason}`)
        }
      }
    },
  )
  return lines.sort()
}

/** The same for the lake's rows. A duplicate row gives two lines. */
export async function linesOfLake(folder: string): Promise<readonly string[]> {
  const lines: string[] = []
  const add = async (sql: string, lineOf: (row: readonly unknown[]) => string): Promise<void> => {
    await queryLake(folder, sql, async (answer) => {
      for await (const row of answer.rows) lines.push(lineOf(row))
    })
  }
  await add(
    'SELECT log_partition, log_offset, id, amount_minor FROM transactions',
    ([partition, offset, id, amount]) =>
      `transactions ${String(partition)}/${String(offset)} ${String(id)} ${String(amount)}`,
  )
  await add(
    'SELECT log_partition, log_offset, transaction_id, verdict FROM labels',
    ([partition, offset, id, verdict]) =>
      `labels ${String(partition)}/${String(offset)} ${String(id)} ${String(verdict)}`,
  )
  await add(
    'SELECT log_partition, log_offset, revision, batch_offset, outcome, score FROM decisions',
    ([partition, offset, revision, block, outcome, score]) =>
      `decisions ${String(partition)}/${String(offset)}/${String(revision)} ${String(block)} ` +
      `${String(outcome)} ${typeof score === 'number' ? score : 'none'}`,
  )
  await add(
    'SELECT log_partition, log_offset, reason FROM dead_letters',
    ([partition, offset, reason]) =>
      `dead_letters ${String(partition)}/${String(offset)} ${String(reason)}`,
  )
  return lines.sort()
}
