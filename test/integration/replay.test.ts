// Goal: decisions can be recomputed from the log, bit for bit; `sluice replay` and `sluice audit` find every change;
// and one alert can be explained in full.
// Method: a scorer decides a live stream with late and repeated transactions; the commands run on its topics, and on
// copies with one change each. The unchanged copy is the control.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { DecisionBatch } from '../../services/core/wire/records.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { copyStream } from '../support/copied-stream.ts'
import { disturbed } from '../support/disturbed.ts'
import { temporaryFolder, variantOf } from '../support/model-variants.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'

const TRANSACTIONS = 2_500

interface Decided {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly store: string
}

async function decided(t: TestContext, name: string): Promise<Decided> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const store = temporaryFolder(t, 'store')
  await stream.send(disturbed(await simulatedEvents(TRANSACTIONS, { cards: 60 })))
  await startScorer(
    t,
    stream.patientEnvironment({
      SLUICE_MODE: 'enforce',
      SLUICE_MODEL_STORE: store,
      SLUICE_VERIFY_TIMEOUT_MS: '60000',
    }),
  )
  await outputs.until('all answers', () => outputs.isCaughtUp && outputs.alerts.length > 0)
  return { stream, outputs, store }
}

async function sluice(
  { stream, store }: Decided,
  args: readonly string[],
  more: Readonly<Record<string, string>> = {},
) {
  const ran = await runSluice(
    args,
    stream.patientEnvironment({ SLUICE_MODE: 'enforce', SLUICE_MODEL_STORE: store, ...more }),
  )
  const read = (): Record<string, unknown> => JSON.parse(ran.stdout) as Record<string, unknown>
  return { ...ran, read }
}

/** True when a line of a copy holds the text in its decision batch. */
function holds(line: string, text: string): boolean {
  if (line === '') return false
  const { value } = JSON.parse(line) as { readonly value: string }
  return Buffer.from(value, 'base64').includes(text)
}

interface Ran {
  readonly decisions: number
  readonly revisions: number
  readonly repeats: number
  readonly mismatched: number
  readonly mismatches: Readonly<Record<string, number>>
  readonly leftOut: Readonly<Record<string, number>>
  readonly scores: { readonly compared: number; readonly ofTarget: number }
  readonly features: { readonly compared: number }
  readonly reasons: number
  readonly tolerance: number
  readonly isProven: boolean
  readonly first: readonly { readonly kind: string; readonly offset: number }[]
}

async function replay(of: Decided, args: readonly string[], prefix = of.stream.prefix) {
  const ran = await sluice(of, ['replay', ...args, '--json'], { SLUICE_TOPIC_PREFIX: prefix })
  ok(ran.stdout !== '', ran.stderr)
  return { code: ran.code, ...(ran.read() as unknown as Ran) }
}

function differing({ mismatches }: Ran): readonly string[] {
  return Object.entries(mismatches).flatMap(([kind, count]) => (count > 0 ? [kind] : []))
}

test('all decisions of a stream are replayed with no mismatch: features, both nets, outcomes, reasons, revisions, repeats', async (t) => {
  const of = await decided(t, 'replay-all')
  const count = of.outputs.decisionBatches.reduce(
    (sum, { batch }) => sum + batch.decisions.length,
    0,
  )
  const ran = await replay(of, ['--all'])
  t.diagnostic(JSON.stringify(ran))
  deepStrictEqual(ran.first, [])
  deepStrictEqual([ran.code, ran.isProven, ran.decisions], [0, true, count])
  deepStrictEqual([ran.mismatched, ran.tolerance], [0, 0])
  ok(ran.scores.ofTarget > 0 && ran.reasons > 0 && ran.repeats > 0, JSON.stringify(ran))
  ok(ran.scores.compared + (ran.leftOut['target_unknown'] ?? 0) >= count - ran.repeats)
  ok((ran.leftOut['target_unknown'] ?? 0) < ran.scores.ofTarget)

  const [alert] = of.outputs.alerts
  ok(alert !== undefined)
  const { alertId, source } = alert
  const one = await replay(of, [alertId])
  deepStrictEqual([one.code, one.mismatched], [0, 0])
  ok(one.decisions >= 1 && one.reasons >= 1)
  const range = ['--partition', String(source.partition)]
  const offsets = ['--from', String(source.offset), '--to', String(source.offset)]
  strictEqual((await replay(of, [...range, ...offsets])).decisions, one.decisions)
  const none = await replay(of, ['--since', '2001-01-01', '--until', '2001-01-02'])
  deepStrictEqual([none.code, none.decisions, none.isProven], [1, 0, false])

  await t.test('a missing model is reported and its decisions stay unproven', async (inner) => {
    const other = variantOf(inner, 'other', { flag: 0.3, block: 0.6 })
    const empty = temporaryFolder(inner, 'empty')
    const away = await sluice(of, ['replay', alertId, '--json'], {
      SLUICE_MODEL: other.folder,
      SLUICE_MODEL_STORE: empty,
    })
    const found = away.read() as unknown as Ran
    deepStrictEqual([away.code, found.isProven], [1, false])
    ok((found.leftOut['model_gone'] ?? 0) > 0)
  })

  await t.test(
    'the scorer has put the model that it was configured with into the store',
    async () => {
      const kept = await sluice(of, ['replay', alertId, '--json'], {
        SLUICE_MODEL: variantOf(t, 'another', { flag: 0.3, block: 0.6 }).folder,
      })
      strictEqual(kept.code, 0, kept.stderr)
    },
  )

  await t.test('explain reports one alert in full, as text and as JSON', async () => {
    const told = await sluice(of, ['explain', alertId])
    strictEqual(told.code, 0, told.stderr)
    for (const heading of [
      'Rules that fired',
      'Reasons, the',
      'What would have',
      'Revisions',
      'Receipts',
    ]) {
      match(told.stdout, new RegExp(heading))
    }
    match(told.stdout, /it would have scored/)
    const { revisions, decision } = (await sluice(of, ['explain', alertId, '--json'])).read() as {
      readonly revisions: readonly { readonly alertId: string }[]
      readonly decision: { readonly features: readonly { readonly differs: boolean }[] }
    }
    strictEqual(revisions[0]?.alertId, alertId)
    ok(decision.features.length > 0 && decision.features.every(({ differs }) => !differs))
    const unknown = await sluice(of, ['explain', 'f'.repeat(32)])
    strictEqual(unknown.code, 2)
  })
})

test('a stream changed in one position gives a mismatch', async (t) => {
  const of = await decided(t, 'replay-changed')
  const { codecs } = of.stream
  const control = await copyStream(t, of.stream)
  strictEqual((await replay(of, ['--all'], control)).code, 0, 'control: an untouched copy')

  let amounts = 0
  const event = await copyStream(t, of.stream, (topic, partition, value, index) => {
    if (topic !== 'transactions' || partition !== 0 || index < 50) return value
    const message = codecs.decodeTransactionMessage(value)
    if (message.kind !== 'transaction' || amounts > 0) return value
    amounts += 1
    return codecs.transaction.encode({
      ...message.value,
      amountMinor: message.value.amountMinor + 1,
    })
  })
  const altered = await replay(of, ['--all'], event)
  strictEqual(altered.code, 1)
  for (const kind of ['transaction', 'features']) ok(differing(altered).includes(kind), kind)

  const ofBatch = async (change: (batch: DecisionBatch) => Partial<DecisionBatch>) => {
    let changed = 0
    const prefix = await copyStream(t, of.stream, (topic, _, value) => {
      if (topic !== 'decisions' || changed > 0) return value
      const decoded = codecs.decisionBatch.decode(value)
      if (!decoded.ok || decoded.value.decisions.length === 0) return value
      changed += 1
      return codecs.decisionBatch.encode({ ...decoded.value, ...change(decoded.value) })
    })
    const ran = await replay(of, ['--all'], prefix)
    const audit = await sluice(of, ['audit', 'verify'], { SLUICE_TOPIC_PREFIX: prefix })
    strictEqual(audit.code, 1, 'the audit finds it, too')
    match(audit.stdout, /altered_batch/)
    return [ran.code, differing(ran)]
  }
  const first = <Value>(values: readonly Value[], change: Partial<Value>): readonly Value[] =>
    values.map((value, index) => (index === 0 ? { ...value, ...change } : value))
  deepStrictEqual(
    await ofBatch(({ decisions }) => ({ decisions: first(decisions, { score: 0.123 }) })),
    [1, ['score']],
  )
  deepStrictEqual(
    await ofBatch(({ decisions }) => ({ decisions: first(decisions, { outcome: 'block' }) })),
    [1, ['outcome']],
  )
})

test('the chain continues over a restart; removed and truncated decision batches are found, and anchors outlive retention', async (t) => {
  const of = await decided(t, 'audit')
  const { stream } = of
  await stream.send(
    (await simulatedEvents(400, { seed: 9 })).filter(({ kind }) => kind === 'transaction'),
  )
  await startScorer(
    t,
    stream.patientEnvironment({ SLUICE_MODE: 'enforce', SLUICE_MODEL_STORE: of.store }),
  )
  await of.outputs.until('all answers', () => of.outputs.isCaughtUp)
  const anchors = join(temporaryFolder(t, 'anchors'), 'kept', 'anchors.ndjson')
  const verify = (prefix = stream.prefix, file = anchors) =>
    sluice(of, ['audit', 'verify', '--anchors', file], { SLUICE_TOPIC_PREFIX: prefix })
  const whole = await verify()
  strictEqual(whole.code, 0, whole.stdout)
  const anchored = await sluice(of, ['audit', 'anchor', '--anchors', anchors])
  strictEqual(anchored.code, 0, anchored.stdout)
  match(anchored.stdout, /4 anchors added/)
  match((await sluice(of, ['audit', 'anchor', '--anchors', anchors])).stdout, /0 anchors added/)

  const copy = join(temporaryFolder(t, 'copy'), 'decisions.ndjson')
  strictEqual((await sluice(of, ['audit', 'export', '--out', copy])).code, 0)
  const card = of.outputs.alerts[0]?.card ?? ''
  ok(
    readFileSync(copy, 'utf8')
      .split('\n')
      .some((line) => holds(line, card)),
  )
  const erased = await sluice(of, ['audit', 'erase', '--copy', copy, '--card', card])
  strictEqual(erased.code, 0, erased.stderr)
  ok(
    !readFileSync(copy, 'utf8')
      .split('\n')
      .some((line) => holds(line, card)),
    'the card is gone',
  )
  const ofCopy = await sluice(of, ['audit', 'verify', '--copy', copy, '--anchors', anchors])
  strictEqual(ofCopy.code, 0, ofCopy.stdout)
  const lines = readFileSync(copy, 'utf8').split('\n')
  // A line with decision batches of its partition before and after it: retention may have removed a head.
  const partitions = lines.map((line) => /"partition":\s*(\d+)/.exec(line)?.[1])
  const inner = partitions.findIndex(
    (of, at) => of !== undefined && partitions.indexOf(of) < at && partitions.lastIndexOf(of) > at,
  )
  ok(inner > 0, 'some partition has three decision batches')
  writeFileSync(copy, lines.toSpliced(inner, 1).join('\n'))
  const lacking = await sluice(of, ['audit', 'verify', '--copy', copy, '--anchors', anchors])
  strictEqual(lacking.code, 1, 'control: a line is missing')

  const removed = await copyStream(t, stream, (topic, partition, value, index) =>
    topic === 'decisions' && partition === 1 && index === 2 ? null : value,
  )
  const found = await verify(removed, 'none')
  strictEqual(found.code, 1)
  match(found.stdout, /missing_batch|altered_batch/)

  const topic = topicName(stream.prefix, 'decisions')
  const batches = of.outputs.decisionBatches.filter(({ partition }) => partition === 0)
  const frontier = batches[Math.floor(batches.length / 2)]?.offset ?? 0
  await stream.admin.deleteTopicRecords({
    topic,
    partitions: [{ partition: 0, offset: String(frontier) }],
  })
  const headless = await verify(stream.prefix, 'none')
  strictEqual(headless.code, 1)
  match(headless.stdout, /head_unverified decisions\/0/)
  const vouched = await verify()
  strictEqual(vouched.code, 0, vouched.stdout)
  match(
    vouched.stdout,
    /partition 0: .*an anchor vouches for the beginning, \d+ decision batches before it are gone/,
  )
})
