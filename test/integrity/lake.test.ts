// Goal: every committed message is in the lake once, whatever kills its writers, and a lake trains the same model as
// the topics. Method: real topics with decisions, watermarks, dead letters and an aborted transaction; a writer is
// killed just before chosen steps on the file system, and at random moments; then one runs undisturbed, and the rows
// are compared with those of a committed reader.

import { withModelDocumentation } from '../../tools/model-documentation/model-documentation.ts'
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { checkLake, readLakeHistory } from '../../services/lake/index.ts'
import { readLakeState } from '../../services/platform/lake/commit-log.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import {
  OPEN_TERMS,
  readTopicHistory,
  runTrainer,
  TRAINER_DEFAULTS,
} from '../../services/trainer/index.ts'
import type { HistoryEvent } from '../../services/trainer/index.ts'
import { linesOfLake, linesOfTopics, runLake } from '../support/lake-process.ts'
import { openFolder } from '../support/lake.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const TRANSACTIONS = IS_FULL ? 20_000 : 2_500
/** Number of file-system steps at which a run is killed. */
const CRASHES = IS_FULL ? 200 : 5
const KILLS = IS_FULL ? 40 : 3
const HOUR_MS = 3_600_000

const crowd = { cards: 400, terminals: 80, merchants: 50 }

/** A decided stream with every kind of offset that gives no row. */
async function decidedStream(t: TestContext, name: string): Promise<TestStream> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  await stream.send(await simulatedEvents(TRANSACTIONS, crowd))
  for (const topic of ['transactions', 'labels'] as const) {
    await stream.sendRaw(topic, 1, [{ key: 'card', value: Buffer.from('no message of ours') }])
  }
  await abortedTransaction(stream)
  const scorer = await startScorer(t, stream.environment())
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  return stream
}

/** Offsets that no committed reader sees. */
async function abortedTransaction(stream: TestStream): Promise<void> {
  const producer = stream.kafka.producer({
    transactionalId: `${stream.streamId}-aborted`,
    idempotent: true,
    maxInFlightRequests: 1,
  })
  await producer.connect()
  const transaction = await producer.transaction()
  await transaction.send({
    topic: topicName(stream.prefix, 'labels'),
    messages: [{ key: 'card', value: 'never seen', partition: 2 }],
  })
  await transaction.abort()
  await producer.disconnect()
}

/** True when the folders hold files that the log does not list. */
async function isHalfDone(folder: string): Promise<boolean> {
  const { files } = await readLakeState(folder)
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.parquet') && !path.startsWith('_sluice'),
  )
  return found.length !== files.size || found.some((path) => !files.has(path))
}

async function copyOf(t: TestContext, from: string): Promise<string> {
  const folder = await openFolder(t)
  await cp(from, folder, { recursive: true })
  return folder
}

async function expectWhole(folder: string, expected: readonly string[]): Promise<void> {
  deepStrictEqual(await linesOfLake(folder), expected)
  const { results, recorded } = await checkLake(
    { folder, table: null, day: null, onProgress: () => undefined },
    new AbortController().signal,
  )
  deepStrictEqual(
    [...results, ...recorded].filter(({ status }) => status === 'failed'),
    [],
  )
  ok(results.some(({ name }) => name === 'answered'))
  ok(recorded.some(({ check, status }) => check === 'offsets' && status === 'explained'))
}

test('a writer killed before any step, or at any moment, loses and duplicates nothing', async (t) => {
  const stream = await decidedStream(t, 'lake-kills')
  const flushes = ['--rows-per-flush', String(Math.ceil(TRANSACTIONS / 5))]
  const ingest = (folder: string) => ['ingest', '--exit', '--lake', folder, ...flushes]
  const compact = (folder: string) => ['compact', '--lake', folder]

  const undisturbed = await openFolder(t)
  const whole = await runLake(stream, ingest(undisturbed))
  strictEqual(whole.code, 0, whole.stderr)
  const expected = await linesOfTopics(stream)
  ok(expected.length > TRANSACTIONS, 'there is something to compare')
  await expectWhole(undisturbed, expected)
  const taken = await copyOf(t, undisturbed)
  const merged = await runLake(stream, compact(undisturbed))
  await expectWhole(undisturbed, expected)
  const stepsOf = (stderr: string): number => Number(/steps: (\d+)/.exec(stderr)?.[1] ?? 0)
  const random = seededNumbers(20_261_125)

  let halves = 0
  for (const [command, begin, steps] of [
    [ingest, () => openFolder(t), stepsOf(whole.stderr)],
    [compact, () => copyOf(t, taken), stepsOf(merged.stderr)],
  ] as const) {
    ok(steps > 50, `only ${steps} steps`)
    let folder = await begin()
    let crashes = 0
    for (let run = 0; crashes < CRASHES; run += 1) {
      ok(run < 4 * CRASHES, `only ${crashes} of ${run} runs were killed`)
      const crashAt = 1 + (random() % steps)
      const { code, stderr } = await runLake(stream, command(folder), { crashAt })
      if (code === null) {
        crashes += 1
        if (await isHalfDone(folder)) halves += 1
        continue
      }
      // There were fewer steps left: this change is complete, and the next run starts another.
      strictEqual(code, 0, stderr)
      await expectWhole(folder, expected)
      folder = await begin()
    }
    const { code, stderr } = await runLake(stream, command(folder))
    strictEqual(code, 0, stderr)
    await expectWhole(folder, expected)
  }
  // Control: kills fell between the steps of one change, so files alone would be wrong.
  ok(halves > 0, 'no kill left anything half done')

  const second = await openFolder(t)
  let kills = 0
  for (let run = 0; run < KILLS; run += 1) {
    const delayMs = random() % 400
    const { code } = await runLake(stream, [...ingest(second), '--compact-every', '100ms'], {
      onOutput: (text, kill) => {
        if (/commit \d+/.test(text)) setTimeout(kill, delayMs)
      },
    })
    if (code === null) kills += 1
  }
  const last = await runLake(stream, [...ingest(second), '--compact-every', '100ms'])
  strictEqual(last.code, 0, last.stderr)
  await expectWhole(second, expected)
  t.diagnostic(`${kills} of ${KILLS} runs were killed at a random moment`)
})

test('a gap in the topics stops the writer, and is recorded once it is accepted', async (t) => {
  const stream = await openStream(t, 'lake-gap')
  const folder = await openFolder(t)
  const events = await simulatedEvents(400, crowd)
  await stream.send(events.slice(0, 200))
  const first = await runLake(stream, ['ingest', '--exit', '--lake', folder])
  strictEqual(first.code, 0, first.stderr)
  await stream.send(events.slice(200))
  const [sent = []] = stream.sent
  await stream.admin.deleteTopicRecords({
    topic: topicName(stream.prefix, 'transactions'),
    partitions: [{ partition: 0, offset: String(sent.length - 5) }],
  })
  const refused = await runLake(stream, ['ingest', '--exit', '--lake', folder])
  strictEqual(refused.code, 1)
  ok(refused.stderr.includes('SLUICE_LAKE_GAP'), refused.stderr)
  const accepted = await runLake(stream, ['ingest', '--exit', '--accept-gap', '--lake', folder])
  strictEqual(accepted.code, 0, accepted.stderr)
  const { results, recorded } = await checkLake(
    { folder, table: null, day: null, onProgress: () => undefined },
    new AbortController().signal,
  )
  deepStrictEqual(
    results.filter(({ status }) => status === 'failed'),
    [],
  )
  ok(recorded.some(({ check, status }) => check === 'gap' && status === 'explained'))
  const other = await runLake(stream, [
    'ingest',
    '--exit',
    '--lake',
    folder,
    '--topic-prefix',
    'x.',
  ])
  strictEqual(other.code, 2, other.stderr)
})

test('the lake trains the model that the topics train, bit for bit', async (t) => {
  const stream = await openStream(t, 'lake-train')
  const folder = await openFolder(t)
  await stream.send(await simulatedEvents(6_000, { ...crowd, fraudShare: 0.1 }))
  for (const args of [['--rows-per-flush', '2000'], []]) {
    const run = await runLake(stream, ['ingest', '--exit', '--lake', folder, ...args])
    strictEqual(run.code, 0, run.stderr)
  }
  strictEqual((await runLake(stream, ['compact', '--lake', folder])).code, 0)
  const topics = await readTopicHistory({
    brokers: stream.brokers,
    topicPrefix: stream.prefix,
    codecs: stream.codecs,
    onProgress: () => undefined,
  })
  const lake: HistoryEvent[] = []
  for await (const event of readLakeHistory({ folder, fromMs: -Infinity, endMs: Infinity })) {
    lake.push(event)
  }
  deepStrictEqual(lake, topics)
  const train = async (history: readonly HistoryEvent[], name: string): Promise<Buffer> => {
    const out = join(folder, name)
    await runTrainer(
      history,
      {
        seeds: [TRAINER_DEFAULTS.seed],
        out,
        force: false,
        name: 'a',
        source: 'a test',
        caveat: 'of a test',
        epochsMax: 2,
        split: { warmUpMs: 0, gapMs: HOUR_MS, validationShare: 0.3, testShare: 0.3 },
        backend: 'wasm',
        rates: DEFAULT_RATES,
        document: withModelDocumentation,
        release: { terms: OPEN_TERMS, releasedOn: '2026-01-01', command: 'npx sluice train' },
      },
      () => undefined,
    )
    return readFileSync(join(out, 'manifest.json'))
  }
  deepStrictEqual(await train(lake, 'model-of-lake'), await train(topics, 'model-of-topics'))
})
