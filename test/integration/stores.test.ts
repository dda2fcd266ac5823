// Goal: policies, lists and models travel through the topic `artifacts`: commands and scorers share nothing but Kafka.
// Half-written and damaged content is never used. Method: commands and scorers as processes, each with folders of its
// own, on a real broker.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import type { SeenBatch } from '../support/outputs.ts'
import {
  BY_AMOUNT,
  decide,
  fileOf,
  inForce,
  type PolicySetup,
  run,
  say,
  setUp,
} from '../support/policy-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { simulatedEvents } from '../support/streams.ts'

/** The folders of a process that shares none. */
function foldersOf(t: TestContext, name: string): Record<string, string> {
  return {
    SLUICE_MODEL_STORE: 'topic',
    SLUICE_POLICY_STORE: 'topic',
    SLUICE_STORE_CACHE: temporaryFolder(t, name),
  }
}

/** A stream whose commands run on another machine, as far as files are concerned. */
async function apart(t: TestContext, name: string) {
  const setup = await setUp(t, name)
  const of = (who: string) => ({ ...setup.environment, ...foldersOf(t, who) })
  const laptop: PolicySetup = { ...setup, environment: of('laptop') }
  return { laptop, scorerEnvironment: of('scorer') }
}

function decisionsOf(batches: readonly SeenBatch[]): readonly DecisionRecord[] {
  return batches
    .flatMap(({ batch }) => batch.decisions)
    .filter(({ duplicateOfOffset, revision }) => duplicateOfOffset === null && revision === 0)
}

test('a policy and its lists reach a scorer through the topic alone', async (t) => {
  const { laptop, scorerEnvironment } = await apart(t, 'stores')
  const events = await simulatedEvents(600)
  const scorer = await startScorer(t, scorerEnvironment)
  const applied = await say(laptop, 'policy', 'apply', fileOf(laptop, BY_AMOUNT), '--mode', 'flag')
  await inForce(scorer, applied.active)
  const decided = decisionsOf(await decide(laptop, events.slice(0, 300)))
  for (const { segment, rules } of decided) {
    deepStrictEqual(rules, segment === 'large' ? ['large-amount'] : ['small-amount'])
  }

  const shown = await run(laptop, 'policy', 'show')
  strictEqual(shown.stdout, `${BY_AMOUNT.trimEnd()}\n`)
})
