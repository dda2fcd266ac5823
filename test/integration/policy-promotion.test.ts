// Goal: before a policy is promoted, each gate is checked against a measured figure, whose source is reported. Method:
// a real stream, decided by a scorer, and the command as an operator runs it: first with the default limits, then with
// limits that this small stream can meet, then from a lake.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { createServer } from 'node:http'
import { writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { readGroups } from '../../services/cli/model/candidate-rows.ts'
import { skewEvidence } from '../../services/cli/policy/promotion-evidence.ts'
import { closeWith } from '../support/cleanup.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import {
  BY_AMOUNT,
  decide,
  fileOf,
  inForce,
  run,
  say,
  setUp,
  type PolicySetup,
  type Said,
} from '../support/policy-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { simulatedEvents } from '../support/streams.ts'

/** Thresholds that a few hundred decisions can meet. */
const SMALL = {
  SLUICE_PROMOTE_DAYS_MIN: '0',
  SLUICE_PROMOTE_PRECISION_MIN: '0',
  SLUICE_PROMOTE_ALERTS_MIN: '1',
  SLUICE_PROMOTE_MATURE_MS: '0',
}
const RULE = {
  groups: [{ column: 'channel', edges: [] }],
  ...{ threshold: 'flag', falsePositiveRatioMax: 1_000, recallRatioMin: 0 },
  ...{ genuineMin: 5, fraudsMin: 1, confidence: 0.95 },
}

async function decided(t: TestContext, name: string): Promise<PolicySetup> {
  const setup = await setUp(t, name)
  const scorer = await startScorer(t, setup.environment)
  const applied = await say(setup, 'policy', 'apply', fileOf(setup, BY_AMOUNT))
  await inForce(scorer, applied.active)
  await decide(setup, await simulatedEvents(400))
  return setup
}

function promote(setup: PolicySetup, to: string, ...more: string[]) {
  return run(setup, 'policy', 'promote', '--segment', 'large', '--to', to, '--reason', 'x', ...more)
}

/** Serves one text as a metrics page; returns its address. */
async function serve(t: TestContext, page: string): Promise<string> {
  const server = createServer((_, response) => response.end(page))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closeWith(t, async () => {
    await new Promise((resolve) => server.close(resolve))
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('promote refuses with the list of missing gates, advances one step, and demotes freely', async (t) => {
  const setup = await decided(t, 'promote')
  const tooFar = await promote(setup, 'enforce')
  strictEqual(tooFar.code, 2)
  ok(tooFar.stderr.includes('modes climb one step at a time'), tooFar.stderr)
  const refused = await promote(setup, 'flag')
  strictEqual(refused.code, 1)
  ok(refused.stderr.includes('SLUICE_POLICY_GATE'), refused.stderr)
  match(refused.stderr, /days: 0.0 days in this mode; asked: at least 7 \(decisions topic\)/)
  match(refused.stderr, /fairness: (not known|no group has enough)/)
  match(refused.stderr, /passed +agreement .*stated in the model's manifest/)
  const overridden = await promote(setup, 'flag', '--override-reason', 'a drill', '--json')
  strictEqual(overridden.code, 0, overridden.stderr)
  const said = JSON.parse(overridden.stdout) as Said & { reason: string }
  match(said.reason, /gates overridden: days, .*; a drill/)
  deepStrictEqual(said.ruleset?.segmentModes, { large: 'flag' })
  strictEqual((await promote(setup, 'observe')).code, 0)
  const nowhere = await run(
    ...([setup, 'policy', 'promote', '--segment', 'nowhere'] as const),
    ...['--to', 'flag', '--reason', 'x'],
  )
  strictEqual(nowhere.code, 2)
  ok(nowhere.stderr.includes('has no segment nowhere; it has large'), nowhere.stderr)
})

test('every gate is computed from the stream alone, or from a meter and a lake where they are given', async (t) => {
  const setup = await decided(t, 'promote-gates')
  const { environment, stream } = setup
  const rule = join(temporaryFolder(t, 'rule'), 'rule.json')
  writeFileSync(rule, JSON.stringify(RULE))
  const small: PolicySetup = { ...setup, environment: { ...environment, ...SMALL } }
  const meter = await serve(
    t,
    'sluice_skew_values_compared_total{feature="x"} 900\nsluice_skew_mismatches_total{feature="x"} 9\n',
  )

  const skewed = await promote(small, 'flag', '--fairness', rule, '--skew', meter)
  strictEqual(skewed.code, 1, skewed.stderr)
  match(skewed.stderr, /skew: 9 of 900 recomputed values differ; asked: at most 0% \(meter at http/)
  match(
    skewed.stderr,
    /passed +fairness +0 breaches of the rule in \d+ decisions; .*decisions topic/,
  )

  // The meter has counted nothing yet: the command recomputes features itself, and finds no difference.
  const silent = await serve(t, 'sluice_skew_following 1\n')
  const passed = await promote(small, 'flag', '--fairness', rule, '--skew', silent, '--json')
  strictEqual(passed.code, 0, passed.stderr)
  match(passed.stderr, /compared nothing yet/)
  match(
    passed.stderr,
    /passed +skew +0 of [1-9]\d+ recomputed values differ; .*\d+ decisions recomputed here/,
  )
  strictEqual((JSON.parse(passed.stdout) as { reason: string }).reason, 'x')

  // Nothing was decided in mode flag yet; the lake has everything since the policy began.
  const lake = join(temporaryFolder(t, 'lake'), 'lake')
  const place = ['--brokers', stream.brokers.join(','), '--topic-prefix', stream.prefix]
  const ingested = await runSluice(
    ['lake', 'ingest', '--exit', '--lake', lake, ...place],
    environment,
  )
  strictEqual(ingested.code, 0, ingested.stderr)
  const second = await promote(small, 'enforce', '--fairness', rule, '--lake', lake)
  strictEqual(second.code, 1, second.stderr)
  match(second.stderr, /days: not known: no decision of this policy in this mode/)
  match(
    second.stderr,
    /fairness +0 breaches of the rule in [1-9]\d* decisions; .*backtest over the lake/,
  )
})

test('agreement is measured live where scorers have enough samples, and given by the operator where not', async (t) => {
  const setup = await decided(t, 'promote-agreement')
  const { stdout } = await run(setup, 'policy', 'list', '--json')
  const { active } = (JSON.parse(stdout) as { inForce: { active: string } }).inForce
  const page = (same: number, different: number, digest = active) =>
    serve(
      t,
      `sluice_policy_version{role="active"} 1
sluice_policy_info{policy_digest="${digest}",mode="observe"} 1
sluice_cascade_sample_total{outcome="same"} ${same}
sluice_cascade_sample_total{outcome="different"} ${different}
`,
    )
  const ask = async (...addresses: readonly string[]) =>
    (await promote(setup, 'flag', ...addresses.flatMap((address) => ['--scorer', address]))).stderr
  match(
    await ask(await page(4_000, 0), await page(1_000, 0)),
    /passed +agreement +100% \[from 99\.9\d%\] of 5000 outcomes .*\(metrics of 127\.0\.0\.1:\d+, 127/,
  )
  match(await ask(await page(1_900, 100)), /MISSING +agreement +95% /)
  match(
    await ask(await page(10, 0)),
    /passed +agreement .*manifest; scorers have measured 10 payments/,
  )
  // A page of another stream, or of another policy.
  match(await ask(await page(0, 9_999, 'f'.repeat(64))), /passed +agreement .*manifest\)/)
})

test('a recomputation that cannot read to the end, or finds no decision in its range, gives no figure', async (t) => {
  const { stream } = await decided(t, 'promote-skew')
  const { brokers, prefix: topicPrefix, codecs } = stream
  const skewOf = (change: { readonly messagesMax?: number; readonly decidedFromMs?: number }) =>
    skewEvidence(
      {
        ...{ access: { brokers, topicPrefix, codecs }, meter: null, eventAheadMsMax: 1e12 },
        ...{ messagesMax: 1e6, decidedFromMs: 0, ...change },
      },
      t.signal,
    )
  const whole = await skewOf({})
  ok(whole.found !== null && whole.found.compared > 0)
  strictEqual(whole.found.mismatches, 0)
  const limited = await skewOf({ messagesMax: 10 })
  ok('why' in limited && limited.why.includes('more than 10 messages'), JSON.stringify(limited))
  const later = await skewOf({ decidedFromMs: Date.now() + 1e9 })
  ok('why' in later && later.why.includes('none of 0 decisions'), JSON.stringify(later))
})

test('one future event time does not make every decision mature', async (t) => {
  const { stream } = await setUp(t, 'promote-future')
  const { brokers, prefix: topicPrefix, codecs } = stream
  const events = await simulatedEvents(50)
  const transactions = events.flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )
  const [first] = transactions
  ok(first !== undefined)
  const ahead = { ...first, id: 'ahead', eventTimeMs: Date.now() + 1e9 }
  await stream.send([...events, { kind: 'transaction', transaction: ahead, fraudPattern: null }])
  const newestWithin = async (eventAheadMsMax: number): Promise<number> => {
    const access = { brokers, topicPrefix, codecs }
    return (await readGroups(access, { fields: [], eventAheadMsMax }, t.signal)).newestMs
  }
  const newest = Math.max(...transactions.map(({ eventTimeMs }) => eventTimeMs))
  strictEqual(await newestWithin(60_000), newest)
  strictEqual(await newestWithin(1e12), ahead.eventTimeMs)
})
