// Goal: a policy is changed and rolled back while scorers run; every decision names its policy version. A faulty policy
// is refused when it is applied, and an unreadable one leaves the old one in force.
// Method: scorers as processes, `sluice policy` and `sluice list` as an operator runs them, real topics, outputs read
// committed.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { activated, controlOf, NO_DEPLOYMENT } from '../../services/core/control/deployment.ts'
import type { Ruleset } from '../../services/core/policy/ruleset.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import { publishControl } from '../../services/platform/kafka/control-topic.ts'
import { addPolicyText, addRuleset } from '../../services/platform/policy-store.ts'
import { folderStore } from '../../services/platform/stores/folder-store.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import type { SeenBatch } from '../support/outputs.ts'
import {
  BY_AMOUNT,
  decide,
  fileOf,
  inForce,
  POLICY_HEAD as HEAD,
  run,
  say,
  setUp,
} from '../support/policy-stream.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { simulatedEvents } from '../support/streams.ts'

const WITH_LISTS = `${HEAD}thresholds: {flag: 0.9999, block: 1}
lists:
  - name: stolen
    field: card
    effect: block
    overridable: false
  - name: doubtful
    field: card
    effect: block
  - name: trusted
    field: card
    effect: allow
`

/** Each version with its digest, as the decision batches name them. */
function versions(batches: readonly SeenBatch[]): readonly string[] {
  return [...new Set(batches.map(({ batch }) => `${batch.policyVersion} ${batch.policyDigest}`))]
}

function decisionsOf(batches: readonly SeenBatch[]): readonly DecisionRecord[] {
  return batches
    .flatMap(({ batch }) => batch.decisions)
    .filter(({ duplicateOfOffset, revision }) => duplicateOfOffset === null && revision === 0)
}

function transactionsOf(events: readonly ProducedEvent[]): readonly Transaction[] {
  return events.flatMap((event) => (event.kind === 'transaction' ? [event.transaction] : []))
}

test('apply and rollback change the policy between batches, and every decision names its version', async (t) => {
  const setup = await setUp(t, 'policies')
  const { stream, outputs } = setup
  const events = await simulatedEvents(1_500)
  const scorer = await startScorer(t, setup.environment)
  const first = await decide(setup, events.slice(0, 500))
  const [builtIn = ''] = versions(first)
  match(builtIn, /^0 [0-9a-f]{64}$/)

  const applied = await say(setup, 'policy', 'apply', fileOf(setup, BY_AMOUNT), '--mode', 'flag')
  deepStrictEqual([applied.ruleset?.version, applied.ruleset?.mode], [1, 'flag'])
  await inForce(scorer, applied.active)
  const second = await decide(setup, events.slice(500, 1_000))
  deepStrictEqual(versions(second), [`1 ${applied.active ?? ''}`])
  for (const { outcome, rules, segment } of decisionsOf(second)) {
    const isLarge = segment === 'large'
    deepStrictEqual(
      [outcome, rules],
      isLarge ? ['flag', ['large-amount']] : ['approve', ['small-amount']],
    )
  }
  const alertOf = () => outputs.alerts.find(({ policyVersion }) => policyVersion === 1)
  await outputs.until('an alert of it', () => alertOf() !== undefined)
  const alert = alertOf()
  deepStrictEqual(
    [alert?.policyDigest, alert?.segment, alert?.rules.map(({ name }) => name), alert?.mode],
    [applied.active, 'large', ['large-amount'], 'flag'],
  )
  match(alert?.rules[0]?.text ?? '', /^\d+ cents$/)
  ok(second.every(({ batch }) => batch.controlPosition === applied.position))

  const back = await say(setup, 'policy', 'rollback')
  strictEqual(back.active, null)
  await inForce(scorer, null)
  deepStrictEqual(versions(await decide(setup, events.slice(1_000))), [builtIn])
  await outputs.readToEnd()
  deepStrictEqual(await audit(stream, outputs), [])
  const nothing = await run(setup, 'policy', 'rollback', '--reason', 'too far')
  strictEqual(nothing.code, 2)
  ok(nothing.stderr.includes('There is no earlier policy'), nothing.stderr)
})

test('a faulty policy is refused with every position and remedy, and no control message is written', async (t) => {
  const setup = await setUp(t, 'faulty')
  const file = fileOf(
    setup,
    `${HEAD}rules:\n  - name: a\n    when: features.amont > 3\n    outcome: flag\n    reason: x\n  - name: b\n    when: transaction.card > 3\n    outcome: flg\n    reason: x\n`,
  )
  for (const command of ['apply', 'shadow']) {
    const { code, stderr } = await run(setup, 'policy', command, file, '--reason', 'x')
    strictEqual(code, 2)
    ok(stderr.includes(`${file}:6:11: rules[0].when features.amont is not known`), stderr)
    ok(stderr.includes('did you mean features.amount?'), stderr)
    ok(stderr.includes(`${file}:10:11: rules[1].when no such overload: string > int`), stderr)
    ok(stderr.includes(`${file}:11:14: rules[1].outcome is "flg", but must be one of`), stderr)
    ok(stderr.includes('SLUICE_POLICY_INVALID'), stderr)
  }
  const { stdout } = await run(setup, 'policy', 'list', '--json')
  deepStrictEqual((JSON.parse(stdout) as { inForce: unknown }).inForce, null)
})

test('an unreadable ruleset leaves the old one in force, with a warning, until it can be read', async (t) => {
  const setup = await setUp(t, 'unreadable')
  const { stream, store } = setup
  const folder = folderStore(store)
  const events = await simulatedEvents(900)
  const scorer = await startScorer(t, setup.environment)
  const applied = await say(setup, 'policy', 'apply', fileOf(setup, BY_AMOUNT))
  await inForce(scorer, applied.active)
  const ruleset: Ruleset = {
    version: 7,
    policy: await addPolicyText(folder, WITH_LISTS),
    mode: 'observe',
    segmentModes: {},
    lists: {},
  }
  const digest = await addRuleset(folder, ruleset)
  rmSync(join(store, 'policies', `${ruleset.policy ?? ''}.yaml`))
  const access = { brokers: stream.brokers, topicPrefix: stream.prefix, codecs: stream.codecs }
  const change = { author: 'test', reason: 'unreadable', atMs: 1 }
  const deployment = activated(activated(NO_DEPLOYMENT, applied.active ?? ''), digest)
  await publishControl(access, controlOf(deployment, change, 'policy'))
  await eventually('the refusal is seen', async () => {
    return (await scorer.metric('sluice_policy_refused', 'role="active",reason="not_found"')) === 1
  })
  const first = await decide(setup, events.slice(0, 500))
  deepStrictEqual(versions(first), [`1 ${applied.active ?? ''}`])
  await scorer.logged('A policy is refused.')

  await addPolicyText(folder, WITH_LISTS)
  await publishControl(access, controlOf(deployment, change, 'policy'))
  await inForce(scorer, digest)
  strictEqual(await scorer.metric('sluice_policy_refused'), 0)
  deepStrictEqual(versions(await decide(setup, events.slice(500))), [`7 ${digest}`])
})

test('a list entry blocks until its end by event time; a firm block beats an override, which beats another', async (t) => {
  const setup = await setUp(t, 'lists')
  const events = await simulatedEvents(2_000)
  const scorer = await startScorer(t, setup.environment)
  await say(setup, 'policy', 'apply', fileOf(setup, WITH_LISTS))
  const counts = new Map<string, number>()
  for (const { card } of transactionsOf(events)) counts.set(card, (counts.get(card) ?? 0) + 1)
  const [one = '', two = '', three = ''] = [...counts.keys()].sort(
    (a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0),
  )
  const times = transactionsOf(events)
    .filter(({ card }) => card === one)
    .map(({ eventTimeMs }) => eventTimeMs)
    .sort((a, b) => a - b)
  const endMs = times[Math.floor(times.length / 2)] ?? 0
  const until = new Date(endMs).toISOString()
  await say(setup, 'list', 'add', 'stolen', one, '--until', until)
  await say(setup, 'list', 'add', 'trusted', one, '--until', 'never')
  await say(setup, 'list', 'add', 'doubtful', two, '--until', 'never')
  await say(setup, 'list', 'add', 'trusted', two, '--until', 'never')
  const last = await say(setup, 'list', 'add', 'doubtful', three, '--until', 'never')
  await inForce(scorer, last.active)
  const decided = decisionsOf(await decide(setup, events))
  const of = (wanted: string) => decided.filter(({ card }) => card === wanted)
  ok(of(one).some(({ eventTimeMs }) => eventTimeMs < endMs))
  ok(of(one).some(({ eventTimeMs }) => eventTimeMs >= endMs))
  for (const { eventTimeMs, outcome, rules } of of(one)) {
    const expected =
      eventTimeMs < endMs ? ['block', ['list/stolen']] : ['approve', ['list/trusted']]
    deepStrictEqual([outcome, rules], expected)
  }
  for (const { outcome, rules, annotations } of of(two)) {
    deepStrictEqual([outcome, rules], ['approve', ['list/doubtful', 'list/trusted']])
    ok(annotations.includes('overridden'))
  }
  for (const { outcome } of of(three)) strictEqual(outcome, 'block')
  // The policy is in mode observe: none of this was published.
  deepStrictEqual(setup.outputs.alerts, [])

  const shown = await run(setup, 'list', 'show', 'stolen')
  ok(shown.stdout.includes(`${one} `) && shown.stdout.includes('a test'), shown.stdout)
  const removed = await say(setup, 'list', 'remove', 'stolen', one)
  strictEqual(removed.ruleset?.version, 7)
  const unknown = await run(setup, 'list', 'add', 'no-such', one, '--until', '1d', '--reason', 'x')
  strictEqual(unknown.code, 2)
  ok(unknown.stderr.includes('it has stolen, doubtful, trusted'), unknown.stderr)
})

test('a shadow policy is evaluated on every decision, and changes none', async (t) => {
  const setup = await setUp(t, 'shadow')
  const events = await simulatedEvents(600)
  const scorer = await startScorer(t, setup.environment)
  const said = await say(setup, 'policy', 'shadow', fileOf(setup, BY_AMOUNT))
  strictEqual(said.active, null)
  await eventually('the shadow runs', async () => {
    return (await scorer.metric('sluice_policy_version', 'role="shadow"')) === 1
  })
  const batches = await decide(setup, events)
  const decided = decisionsOf(batches)
  ok(batches.every(({ batch }) => batch.policyVersion === 0))
  await eventually('all is ruled', async () => {
    const ruled = await scorer.metric('sluice_policy_shadow_decisions_total', 'result="ruled"')
    return ruled === decided.length
  })
  for (const active of ['approve', 'flag', 'block']) {
    const pairs = await scorer.metric('sluice_policy_shadow_outcomes_total', `active="${active}"`)
    strictEqual(pairs, decided.filter(({ outcome }) => outcome === active).length, active)
  }
  ok((await scorer.metric('sluice_policy_shadow_outcomes_total', 'shadow="flag"')) > 0)
  strictEqual((await say(setup, 'policy', 'shadow', '--off')).shadow, null)
})
