// Goal: `sluice trace` shows when a transaction was sent, fetched, decided, written and committed, or explains why it
// cannot. Method: a real scorer, committed readers of its output; the command as an operator runs it.

import { deepStrictEqual, match, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { partitionOf } from '../../services/core/murmur2.ts'
import { parsePosition } from '../../services/core/redrive.ts'
import type { Step } from '../../tools/trace/timeline.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

type PrintedStep = Omit<Step, 'position'> & { readonly position: string | null }

interface Printed {
  readonly outcome: string
  readonly steps: readonly PrintedStep[]
  readonly others: readonly { readonly source: string; readonly duplicateOfOffset: number | null }[]
}

async function traced(stream: TestStream, transactionId: string): Promise<Printed> {
  const { code, stdout, stderr } = await runSluice(
    ['trace', transactionId, '--json'],
    stream.environment(),
  )
  strictEqual(code, 0, stderr)
  return JSON.parse(stdout) as Printed
}

async function refused(stream: TestStream, transactionId: string): Promise<string> {
  const { code, stdout, stderr } = await runSluice(['trace', transactionId], stream.environment())
  strictEqual(code, 2, stderr)
  strictEqual(stdout, '')
  return stderr
}

/** All times are present and in order. */
function assertInOrder(steps: readonly PrintedStep[]): void {
  const times = steps.map(({ step, atMs }) => {
    ok(atMs !== null, `${step} has a time`)
    return atMs
  })
  deepStrictEqual(
    times,
    times.toSorted((a, b) => a - b),
  )
}

/** The marker is behind the message, at an offset where no reader sees a message. */
function assertMarker(steps: readonly PrintedStep[], alert: '' | 'alert ', seen: Outputs): void {
  const place = (step: string) =>
    parsePosition(steps.find((each) => each.step === `${alert}${step}`)?.position ?? '')
  const [produced, committed] = [place('produced'), place('committed')]
  ok(produced !== null && committed !== null)
  deepStrictEqual([committed.topic, committed.partition], [produced.topic, produced.partition])
  ok(committed.offset > produced.offset)
  if (alert === '')
    ok(
      !seen.decisionBatches.some(
        ({ partition, offset }) => partition === committed.partition && offset === committed.offset,
      ),
    )
}

test('each step of an alerted and of an approved transaction has its time, in order', async (t) => {
  const stream = await openStream(t, 'trace')
  const outputs = followOutputs(t, stream)
  await startScorer(t, stream.patientEnvironment({ SLUICE_MODE: 'enforce' }))
  const sendingMs = Date.now()
  await stream.send(await simulatedEvents(2_000))
  await outputs.until('all decisions', () => outputs.isCaughtUp)
  await outputs.readToEnd()
  const endMs = Date.now()
  const decisions = outputs.decisionBatches.flatMap(({ batch, offset }) =>
    batch.decisions.map((decision) => ({ ...decision, partition: batch.partition, batch: offset })),
  )
  const alert = outputs.alerts.find(({ revision }) => revision === 0)
  const approved = decisions.findLast(
    ({ outcome, revision }) => outcome === 'approve' && revision === 0,
  )
  ok(alert !== undefined && approved !== undefined)
  for (const transactionId of [alert.transactionId, approved.transactionId]) {
    const hasAlert: boolean = transactionId === alert.transactionId
    const decision = decisions.find((each) => each.transactionId === transactionId)
    ok(decision !== undefined)
    const { steps, outcome } = await traced(stream, transactionId)
    strictEqual(outcome, decision.outcome)
    deepStrictEqual(
      steps.map(({ step }) => step),
      hasAlert
        ? [
            'sent',
            'fetched',
            'decided',
            'produced',
            'alert produced',
            'committed',
            'alert committed',
          ]
        : ['sent', 'fetched', 'decided', 'produced', 'committed'],
    )
    const plain = steps.filter(({ step }) => !step.startsWith('alert'))
    assertInOrder(plain)
    const [sent, fetched, , produced, committed] = plain
    strictEqual(sent?.atMs, stream.sentAtMs)
    ok((fetched?.atMs ?? 0) >= sendingMs && (committed?.atMs ?? Infinity) <= endMs)
    strictEqual(
      sent.position,
      `${stream.prefix}transactions/${decision.partition}/${decision.offset}`,
    )
    strictEqual(
      produced?.position,
      `${stream.prefix}decisions/${decision.partition}/${decision.batch}`,
    )
    assertMarker(steps, '', outputs)
    if (hasAlert) assertMarker(steps, 'alert ', outputs)
    // Control: the same check refuses times out of order, and a missing one.
    throws(() => {
      assertInOrder(plain.toReversed())
    })
    throws(() => {
      assertInOrder(plain.map((step, index) => (index === 1 ? { ...step, atMs: null } : step)))
    })
  }
  const lines = await runSluice(['trace', alert.transactionId], stream.environment())
  match(lines.stdout, /^transaction /)
  match(lines.stdout, / alert committed .*visible to committed readers\.$/m)
})

test('a repeat is named; an unknown, an undecided and a dead transaction have no timeline and say why', async (t) => {
  const stream = await openStream(t, 'trace-none')
  const outputs = followOutputs(t, stream)
  const events = await simulatedEvents(200)
  const repeated = events.find((event) => event.kind === 'transaction')
  ok(repeated?.kind === 'transaction')
  const { transaction } = repeated
  const home = partitionOf(Buffer.from(transaction.card), PARTITION_COUNT)
  const message = (id: string) => ({
    key: transaction.card,
    value: stream.codecs.transaction.encode({ ...transaction, id }),
  })
  await stream.send([...events, repeated])
  const elsewhere = (home + 1) % PARTITION_COUNT
  const letterOffset = stream.sent[elsewhere]?.length
  await stream.sendRaw('transactions', elsewhere, [message('trace-dead')])
  const scorer = await startScorer(t, stream.patientEnvironment())
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  await stream.sendRaw('transactions', home, [message('trace-waiting')])

  const { steps, others } = await traced(stream, transaction.id)
  assertInOrder(steps.filter(({ step }) => !step.startsWith('alert')))
  const first = parsePosition(steps[0]?.position ?? '')
  strictEqual(others.length, 1)
  strictEqual(others[0]?.duplicateOfOffset, first?.offset)

  const transactions = `${stream.prefix}transactions`
  const unknown = await refused(stream, 'trace-unknown')
  match(
    unknown,
    /transactions holds no transaction trace-unknown; check the id and the topic prefix/,
  )
  match(unknown, /\[SLUICE_USAGE\]/)
  const waiting = await refused(stream, 'trace-waiting')
  match(waiting, /trace-waiting is not decided yet: it was sent at /)
  ok(waiting.includes(`${transactions}/${home}/`))
  const dead = await refused(stream, 'trace-dead')
  match(dead, /trace-dead never reached a decision: .*\(wrong_partition\)/)
  const shown = `dead-letters show ${transactions}/${elsewhere}/${letterOffset ?? ''}`
  ok(dead.includes(`"sluice ${shown}"`), dead)
  // The suggested command works.
  const letter = await runSluice(shown.split(' '), stream.environment())
  strictEqual(letter.code, 0, letter.stderr)
})
