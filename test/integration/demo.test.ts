// Goal: the demo shows alerts, counts its work, and leaves nothing behind: no process, topic, group or key. Method: the
// demo runs in its own process, on a CSV from the simulator, and live until SIGTERM. Kafka, Redis and the started
// processes are examined afterwards.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import kafkajs from 'kafkajs'
import type { DemoSummary } from '../../tools/demo/summary.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import { eventually, firstAnswer, readUntil } from '../support/poll.ts'

const root = join(import.meta.dirname, '../..')
/** Enough rows that the first block ends within them. */
const ROWS = 4_000

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
const redisUrl = process.env['SLUICE_REDIS_URL'] ?? ''
if (brokersText === '' || redisUrl === '') {
  throw new Error(
    'SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL are not set; run this suite with npm run test:integration.',
  )
}
const kafka = new kafkajs.Kafka({
  clientId: 'demo-test',
  brokers: brokersText.split(','),
  logLevel: kafkajs.logLevel.NOTHING,
})

function startSluice(args: readonly string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, [join(root, 'infra/bootstrap.mjs'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without NODE_TEST_CONTEXT, or the started processes would report to our runner.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  })
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-demo-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return folder
}

/** A CSV of the simulator's transactions, labels in a column. */
function writeSimulatedCsv(file: string): void {
  const frauds: string[] = []
  const rows: string[] = []
  for (const event of simulate({ seed: 11, transactionsMax: ROWS })) {
    if (event.kind !== 'transaction') continue
    const { id, card, eventTimeMs, amountMinor, currency, terminal } = event.transaction
    const isFraud = event.fraudPattern !== null
    if (isFraud) frauds.push(id)
    const time = new Date(eventTimeMs).toISOString()
    const amount = (amountMinor / 100).toFixed(2)
    rows.push([id, time, card, amount, currency, terminal ?? '', isFraud ? 1 : 0].join(','))
  }
  ok(frauds.length > 0, 'there is fraud to label')
  writeFileSync(file, `id,time,card,amount,currency,terminal,is_fraud\n${rows.join('\n')}\n`)
}

/** The demo's id, from its progress lines. */
function demoIdIn(stderr: string): string {
  const id = /creating the topics demo-([0-9a-f]{8})\./.exec(stderr)?.[1]
  if (id === undefined) throw new Error(`The demo names its topics; it said:\n${stderr}`)
  return id
}

async function tracesOf(id: string): Promise<readonly string[]> {
  const admin = kafka.admin()
  const redis = new Redis(redisUrl)
  try {
    await admin.connect()
    const topics = await admin.listTopics()
    const { groups } = await admin.listGroups()
    const keys = await redis.keys(`sluice:{demo-${id}:*`)
    const names = [...topics, ...groups.map(({ groupId }) => groupId)]
    return [...names.filter((name) => name.startsWith(`demo-${id}`)), ...keys]
  } finally {
    redis.disconnect()
    await admin.disconnect()
  }
}

/** Kafka's controller reports that a topic is deleted before the broker that lists topics has caught up. */
async function leavesNothing(id: string, except: (name: string) => boolean = () => false) {
  await readUntil(
    'nothing is left',
    async () => (await tracesOf(id)).filter((name) => !except(name)),
    (left) => left.length === 0,
  )
}

/**
 * The scorer's pid is in each line of its log. Native TensorFlow, where it is installed, writes two lines of its own
 * first.
 */
function scorerPid(): Promise<number> {
  return firstAnswer('the scorer has written a line', () => {
    const lines = readFileSync(join(root, '.sluice', 'demo-scorer.log'), 'utf8').split('\n')
    // The last line may be incomplete.
    const line = lines.slice(0, -1).find((each) => each.startsWith('{'))
    return Promise.resolve(
      line === undefined ? null : (JSON.parse(line) as { readonly pid: number }).pid,
    )
  })
}

async function ends(pid: number): Promise<void> {
  await eventually(`process ${pid} has ended`, () => Promise.resolve(!isRunning(pid)))
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('a replay with --exit decides every row, counts the same from the topics, and cleans up', async (t) => {
  const folder = temporaryFolder(t)
  const csv = join(folder, 'simulated.csv')
  const summaryFile = join(folder, 'summary.json')
  writeSimulatedCsv(csv)
  const child = startSluice(['demo', '--replay', csv, '--exit', '--summary', summaryFile])
  const closed = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await closed) as [number | null]
  strictEqual(code, 0, `${stdout}\n${stderr}`)

  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as DemoSummary
  strictEqual(summary.transactions, ROWS)
  strictEqual(summary.decisions + summary.deadLetters, ROWS)
  strictEqual(summary.deadLetters, 0)
  deepStrictEqual(
    [summary.missing, summary.repeatedAnswers, summary.repeatedAlerts, summary.strays],
    [0, 0, 0, 0],
  )
  deepStrictEqual(summary.problems, [])
  strictEqual(summary.alignment, 'aligned')
  strictEqual(summary.mode, 'enforce')
  ok(summary.labels > 0)
  const { approve, flag, block } = summary.outcomes
  strictEqual(approve + flag + block, summary.decisions)
  deepStrictEqual(summary.alerts, { total: flag + block, flag, block })
  ok(summary.alerts.total > 0, 'the fraud in the file is noticed')
  ok(summary.eventToAlertMs.p50 !== null && summary.backend !== null)
  match(stderr, /receipts of the enforcer, for blocks and releases: [1-9]\d* applied, 0 refused/)
  match(stdout, /RELEASE .*its time is over/)
  // The replay is faster than its leases: on a busy machine, those of all blocks are over when the enforcer reads them.
  match(stdout, /receipt: block of \S+ (applied|too late \(lease over\))/)
  match(stdout, /instead of .* it would have scored/)
  match(stdout, /4,000 transactions in = 4,000 decisions \+ 0 dead letters/)
  match(stderr, /enforcement is ON/)
  match(stderr, /http:\/\/127\.0\.0\.1:\d+\/metrics/)

  await leavesNothing(demoIdIn(stderr))
  await ends(await scorerPid())
})

test('SIGTERM ends a live demo with code 0, and nothing of it remains', async () => {
  const child = startSluice(['demo', '--rate', '400', '--json'])
  const closed = once(child, 'close')
  const stderr = text(child.stderr)
  let line = ''
  for await (const first of createInterface({ input: child.stdout })) {
    // At the first alert everything runs.
    line = first
    break
  }
  child.stdout.resume()
  const alert = JSON.parse(line) as { readonly alertId: string; readonly action: string }
  match(alert.action, /^(flag|block)$/)
  const pid = await scorerPid()
  strictEqual(isRunning(pid), true)

  child.kill('SIGTERM')
  const [code] = (await closed) as [number | null]
  const progress = await stderr
  strictEqual(code, 0, progress)
  await ends(pid)
  await leavesNothing(demoIdIn(progress))
})

test('a scorer that dies ends the demo with its last error, and nothing remains', async () => {
  const child = startSluice(['demo', '--rate', '400', '--json'])
  const closed = once(child, 'close')
  const stderr = text(child.stderr)
  for await (const line of createInterface({ input: child.stdout })) {
    ok(line.startsWith('{'))
    break
  }
  child.stdout.resume()
  process.kill(await scorerPid(), 'SIGKILL')
  const [code] = (await closed) as [number | null]
  const progress = await stderr
  strictEqual(code, 3, progress)
  match(
    progress,
    /The scorer was ended by SIGKILL\. The end of .*demo-scorer\.log:\n.*Scorer ready/s,
  )
  // The groups of killed members exist until their sessions expire; they can be deleted only then. The scorer has two:
  // that of its partitions, and that of the control topic.
  const group = `demo-${demoIdIn(progress)}`
  const isGroup = (name: string): boolean => name === group || name.startsWith(`${group}-control-`)
  await leavesNothing(demoIdIn(progress), isGroup)
})

test('the alerts of a running demo are followed without naming it, up to a limit', async () => {
  const demo = startSluice(['demo', '--rate', '400', '--json'])
  const demoClosed = once(demo, 'close')
  demo.stderr.resume()
  for await (const line of createInterface({ input: demo.stdout })) {
    ok(line.startsWith('{'))
    break
  }
  demo.stdout.resume()
  const tail = startSluice(['alerts', 'tail', '--from-beginning', '--limit', '2', '--json'])
  const tailClosed = once(tail, 'close')
  const [stdout, stderr] = await Promise.all([text(tail.stdout), text(tail.stderr)])
  const [code] = (await tailClosed) as [number | null]
  demo.kill('SIGINT')
  const [demoCode] = (await demoClosed) as [number | null]
  strictEqual(code, 0, stderr)
  strictEqual(demoCode, 0)
  match(stderr, /demo-[0-9a-f]{8} runs and no topic prefix is given, so it is followed/)
  const lines = stdout.trimEnd().split('\n')
  strictEqual(lines.length, 2)
  for (const line of lines) match((JSON.parse(line) as { alertId: string }).alertId, /./)
})
