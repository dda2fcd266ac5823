// Goal: decisions of a published policy are recomputed with that policy, found by its digest. Method: a policy with
// rules on the amount alone is applied before the scorer starts; the replay finds it in the store, or reports that it
// is missing.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../support/model-variants.ts'
import { followOutputs } from '../support/outputs.ts'
import { decide, fileOf, run, say, setUp } from '../support/policy-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

const POLICY = `apiVersion: sluice/v1
name: cards
match: first
segments:
  - name: large
    when: transaction.referenceMinor >= 5000
rules:
  - name: large-amount
    when: transaction.referenceMinor >= 5000
    outcome: flag
    reason: "{transaction.referenceMinor} cents"
`

interface Ran {
  readonly decisions: number
  readonly mismatched: number
  readonly reasons: number
  readonly first: readonly unknown[]
  readonly leftOut: Readonly<Record<string, number>>
}

test('decisions of a published policy are replayed with it; without it they stay unproven', async (t) => {
  const stream = await openStream(t, 'replay-policy')
  const outputs = followOutputs(t, stream)
  const store = temporaryFolder(t, 'store')
  const environment = stream.patientEnvironment({
    SLUICE_MODEL_STORE: store,
    SLUICE_MODE: 'enforce',
  })
  const file = join(temporaryFolder(t, 'policy'), 'policy.yaml')
  writeFileSync(file, POLICY)
  const applied = await runSluice(['policy', 'apply', file, '--reason', 'a test'], environment)
  strictEqual(applied.code, 0, applied.stderr)
  await startScorer(t, environment)
  await stream.send(await simulatedEvents(600, { cards: 60 }))
  await outputs.until('all answers', () => outputs.isCaughtUp)
  ok(outputs.decisionBatches.every(({ batch }) => batch.policyVersion > 0))

  const replay = async (places: Readonly<Record<string, string>>) => {
    const { code, stdout, stderr } = await runSluice(['replay', '--all', '--json'], {
      ...environment,
      ...places,
    })
    ok(stdout !== '', stderr)
    return { code, ran: JSON.parse(stdout) as Ran }
  }
  ok(
    outputs.decisionBatches.some(({ batch }) =>
      batch.decisions.some(({ rules }) => rules.length > 0),
    ),
  )
  const { code, ran } = await replay({})
  deepStrictEqual([code, ran.mismatched, ran.first], [0, 0, []])
  ok(ran.reasons > 0)
  const gone = await replay({ SLUICE_MODEL_STORE: temporaryFolder(t, 'empty') })
  strictEqual(gone.code, 1)
  strictEqual(gone.ran.leftOut['policy_gone'], gone.ran.decisions)
})

test('lists are replayed as of the decision, whatever has changed since', async (t) => {
  const setup = await setUp(t, 'replay-lists')
  const events = await simulatedEvents(600, { cards: 20 })
  const transactions = events.flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )
  const [card = ''] = transactions.map((each) => each.card)
  const times = transactions.filter((each) => each.card === card).map((each) => each.eventTimeMs)
  const until = new Date((Math.min(...times) + Math.max(...times)) / 2).toISOString()
  const list = 'lists:\n  - {name: stolen, field: card, effect: block}\n'
  await say(setup, 'policy', 'apply', fileOf(setup, `${POLICY}${list}`), '--mode', 'flag')
  await say(setup, 'list', 'add', 'stolen', card, '--until', until)
  const scorer = await startScorer(t, setup.environment)
  const batches = await decide(setup, events)
  await scorer.end('SIGTERM')
  const ofCard = batches
    .flatMap(({ batch }) => batch.decisions)
    .filter((decision) => decision.card === card && decision.duplicateOfOffset === null)
  const held = ofCard.filter(({ rules }) => rules.includes('list/stolen'))
  ok(held.length > 0 && held.length < ofCard.length, `${held.length} of ${ofCard.length}`)

  await say(setup, 'list', 'remove', 'stolen', card)
  await say(setup, 'list', 'add', 'stolen', `${card}-other`, '--until', 'never')
  const { code, stdout, stderr } = await run(setup, 'replay', '--all', '--json')
  strictEqual(code, 0, stderr)
  const ran = JSON.parse(stdout) as Ran
  deepStrictEqual([ran.mismatched, ran.first], [0, []])
  ok(ran.decisions >= ofCard.length)
})
