// Goal: exchange rates are data: a table given by file or control topic converts, each decision names it, a replay
// converts with it bit for bit even after a correction of the past, and a payment without a rate is never converted by
// a guess. Method: commands and a scorer as processes on real servers.

import { deepStrictEqual, match, notDeepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { DecisionBatch } from '../../services/core/wire/records.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import { eventually } from '../support/poll.ts'
import { decide, run, say, setUp, type PolicySetup } from '../support/policy-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { simulatedEvents } from '../support/streams.ts'

const TABLE = `reference,EUR
currency,from,rate
GBP,2000-01-01,1.17
USD,2000-01-01,0.92
KRW,2000-01-01,0.00068
`
/** The pound was worth twice as much all along. */
const CORRECTED = TABLE.replace('1.17', '2.34')
/** Nobody pays before the year 2099. */
const EXTENDED = `${TABLE}GBP,2099-01-01,1.2\n`
const WORLD_MS = Date.UTC(2026, 0, 1)

function tableFile(t: TestContext, text: string): string {
  const file = join(temporaryFolder(t, 'rates'), 'rates.csv')
  writeFileSync(file, text)
  return file
}

/** A stream whose processes convert with TABLE. */
async function converting(t: TestContext, name: string, more: Record<string, string> = {}) {
  const setup = await setUp(t, name)
  const environment = { ...setup.environment, SLUICE_RATES: tableFile(t, TABLE), ...more }
  return { ...setup, environment }
}

/** Payments whose currency is the one given, from a simulated world. */
async function paidIn(currency: string, count: number): Promise<readonly ProducedEvent[]> {
  const events = await simulatedEvents(count, { cards: 20, startMs: WORLD_MS })
  return events.map((event) =>
    event.kind === 'transaction'
      ? { ...event, transaction: { ...event.transaction, currency } }
      : event,
  )
}

function digestsOf(batches: readonly { readonly batch: DecisionBatch }[]): readonly string[] {
  return [...new Set(batches.map(({ batch }) => batch.ratesDigest))]
}

async function replayed(setup: PolicySetup) {
  const { code, stdout, stderr } = await run(setup, 'replay', '--all', '--json')
  strictEqual(code, 0, stderr + stdout)
  return JSON.parse(stdout) as { decisions: number; mismatched: number; isProven: boolean }
}

test('a table is replaced in service, and every decision is replayed with the table that it names', async (t) => {
  const setup = await converting(t, 'rates')
  const pounds = await paidIn('GBP', 400)
  const scorer = await startScorer(t, setup.environment)
  const first = digestsOf(await decide(setup, pounds.slice(0, 200)))
  strictEqual(first.length, 1)

  const activate = (text: string, ...more: string[]) =>
    say(setup, 'rates', 'activate', tableFile(t, text), ...more)
  const refused = await run(
    setup,
    ...['rates', 'activate', tableFile(t, CORRECTED), '--reason', 'a test'],
  )
  strictEqual(refused.code, 2, refused.stderr)
  match(refused.stderr, /first differs from the one in force at 2000-01-01.*--from-now/s)

  for (const [text, more] of [
    [EXTENDED, []],
    [CORRECTED, ['--from-now']],
  ] as const) {
    const { active } = await activate(text, ...more)
    await eventually('the table converts', async () => {
      const { body } = await scorer.page('/metrics')
      return new RegExp(`^sluice_rates_switches_total ${text === EXTENDED ? 1 : 2}$`, 'm').test(
        body,
      )
    })
    const from = text === EXTENDED ? 200 : 300
    const batches = await decide(setup, pounds.slice(from, from + 100))
    deepStrictEqual(digestsOf(batches), [active])
    notDeepStrictEqual(digestsOf(batches), first)
  }

  const { decisions, mismatched, isProven } = await replayed(setup)
  const decided = setup.outputs.decisionBatches.flatMap(({ batch }) => batch.decisions)
  deepStrictEqual([decisions, mismatched, isProven], [decided.length, 0, true])
})

test('a payment without a rate becomes a dead letter', async (t) => {
  const setup = await converting(t, 'rates-none')
  await startScorer(t, setup.environment)
  const yen = (await paidIn('JPY', 25)).slice(20)
  const batches = await decide(setup, [...(await paidIn('KRW', 20)), ...yen])
  const reasons = setup.outputs.deadLetters.map(({ reason }) => reason)
  deepStrictEqual(new Set(reasons), new Set(['unknown_currency']))
  ok(batches.length > 0)
})

test('or is decided without its amount, where the configuration says so, and replayed', async (t) => {
  const setup = await converting(t, 'rates-without', { SLUICE_MISSING_RATE: 'without_amount' })
  await startScorer(t, setup.environment)
  const batches = await decide(setup, [
    ...(await paidIn('EUR', 100)),
    ...(await paidIn('JPY', 140)).slice(100),
  ])
  strictEqual(setup.outputs.deadLetters.length, 0)
  const decisions = batches.flatMap(({ batch }) => batch.decisions)
  const without = decisions.filter(({ annotations }) => annotations.includes('no_rate'))
  ok(without.length > 0 && without.length < decisions.length)
  for (const { score } of without) ok(score !== null && score >= 0 && score <= 1)
  const { mismatched, isProven } = await replayed(setup)
  deepStrictEqual([mismatched, isProven], [0, true])
})
