// Goal: a model is changed and rolled back while scorers run. A model that cannot be opened is refused and the old one
// stays; after a crash the requested model is in force. Method: scorers as processes, `sluice model` as an operator
// runs it, real topics, committed output.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { activated, controlOf, NO_DEPLOYMENT } from '../../services/core/control/deployment.ts'
import { publishControl } from '../../services/platform/kafka/control-topic.ts'
import { addModel, storedFolder } from '../../services/platform/model-store.ts'
import { audit } from '../support/audit.ts'
import {
  digestOfFolder,
  RELEASED_MODEL,
  temporaryFolder,
  variantOf,
} from '../support/model-variants.ts'
import { followOutputs, type Outputs, type SeenBatch } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, SHORT_SESSION, simulatedEvents, type TestStream } from '../support/streams.ts'

const RELEASED = digestOfFolder(RELEASED_MODEL)
const STRICT = { flag: 0.02, block: 0.3 }
const LAX = { flag: 0.8, block: 0.95 }

interface Setup {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly store: string
  readonly environment: Record<string, string>
}

async function setUp(t: TestContext, name: string): Promise<Setup> {
  const stream = await openStream(t, name)
  const store = temporaryFolder(t, 'store')
  const environment = stream.patientEnvironment({ SLUICE_MODEL_STORE: store })
  return { stream, outputs: followOutputs(t, stream), store, environment }
}

/** `sluice model ...`; fails when it fails. */
async function model({ environment }: Setup, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runSluice(['model', ...args, '--json'], environment)
  strictEqual(code, 0, stderr)
  return JSON.parse(stdout) as Record<string, unknown>
}

/** Sends the events and waits until they are decided. */
async function decide({ stream, outputs }: Setup, events: Parameters<TestStream['send']>[0]) {
  const from = outputs.decisionBatches.length
  await stream.send(events)
  await outputs.until('the answers', () => outputs.isCaughtUp)
  return outputs.decisionBatches.slice(from)
}

async function serving(scorer: ScorerProcess, digest: string): Promise<void> {
  await eventually(`model ${digest} serves`, async () => {
    const label = `role="active",model_version=`
    const short = `model_digest="${digest.slice(0, 12)}"`
    const { body } = await scorer.page('/metrics')
    return body.split('\n').some((line) => line.includes(label) && line.includes(short))
  })
}

/** Models that decided: each digest with its control position. */
function deciders(batches: readonly SeenBatch[]): readonly string[] {
  return [
    ...new Set(
      batches.map(({ batch }) => `${batch.modelDigest} ${batch.controlPosition ?? 'none'}`),
    ),
  ]
}

test('activate, shadow and rollback change the deciding model between batches, and lose nothing', async (t) => {
  const setup = await setUp(t, 'models')
  const { stream, outputs } = setup
  const variant = variantOf(t, 'strict', STRICT)
  const events = await simulatedEvents(3_000)
  const scorer = await startScorer(t, setup.environment)
  const first = await decide(setup, events.slice(0, 1_000))
  deepStrictEqual(deciders(first), [`${RELEASED} none`])

  const said = await model(
    setup,
    'activate',
    variant.folder,
    '--reason',
    'a test',
    '--author',
    'jo',
  )
  strictEqual(said['active'], variant.digest)
  await serving(scorer, variant.digest)
  const second = await decide(setup, events.slice(1_000, 2_000))
  deepStrictEqual(deciders(second), [`${variant.digest} 0`])
  // The thresholds are those of the model that decided.
  for (const { batch } of second) {
    for (const { score, outcome } of batch.decisions) {
      if (score === null) continue
      strictEqual(outcome !== 'approve', score >= STRICT.flag, `score ${score} is ${outcome}`)
    }
  }

  const list = await model(setup, 'list')
  deepStrictEqual(
    (list['models'] as { digest: string; role: string }[]).map(({ digest, role }) => [
      digest,
      role,
    ]),
    [
      // The scorer stores its configured model, so that a replay finds it.
      [RELEASED, null],
      [variant.digest, 'active'],
    ],
  )
  strictEqual((list['inForce'] as { author: string }).author, 'jo')

  await model(setup, 'rollback', '--reason', 'the test goes on')
  await serving(scorer, RELEASED)
  const third = await decide(setup, events.slice(2_000))
  deepStrictEqual(deciders(third), [`${RELEASED} 1`])
  await outputs.readToEnd()
  deepStrictEqual(await audit(stream, outputs), [])
  const nothing = await runSluice(['model', 'rollback', '--reason', 'too far'], setup.environment)
  strictEqual(nothing.code, 2)
  ok(nothing.stderr.includes('There is no earlier model'), nothing.stderr)
})

test('the command refuses a truncated or altered model or one of other features, and writes no control message', async (t) => {
  const setup = await setUp(t, 'refused')
  const truncated = variantOf(t, 'truncated', STRICT)
  truncateSync(join(truncated.folder, 'weights.bin'), 100)
  const stored = variantOf(t, 'altered', LAX)
  await addModel(setup.store, stored.folder)
  truncateSync(join(storedFolder(setup.store, stored.digest), 'golden.json'), 1_000)
  for (const [named, what] of [
    [truncated.folder, 'SLUICE_MODEL_CORRUPT'],
    [stored.digest, 'SLUICE_MODEL_CORRUPT'],
    ['f'.repeat(64), 'SLUICE_MODEL_NOT_FOUND'],
    ['no-such-folder', 'SLUICE_MODEL_NOT_FOUND'],
  ] as const) {
    const ended = await runSluice(['model', 'activate', named, '--reason', 'x'], setup.environment)
    strictEqual(ended.code, 1, ended.stderr)
    ok(ended.stderr.includes(what), ended.stderr)
  }
  const list = await model(setup, 'list')
  strictEqual(list['inForce'], null)
  const [entry] = list['models'] as { isWhole: boolean }[]
  strictEqual(entry?.isWhole, false)
})

test('a scorer refuses a damaged model while the old one serves, and activates it once it is repaired', async (t) => {
  const setup = await setUp(t, 'damaged')
  const { stream, store } = setup
  const variant = variantOf(t, 'damaged', STRICT)
  await addModel(store, variant.folder)
  truncateSync(join(storedFolder(store, variant.digest), 'weights.bin'), 100)
  const events = await simulatedEvents(2_000)
  const scorer = await startScorer(t, setup.environment)
  const access = { brokers: stream.brokers, topicPrefix: stream.prefix, codecs: stream.codecs }
  const change = { author: 'test', reason: 'damaged', atMs: 1 }
  const deployment = activated(NO_DEPLOYMENT, variant.digest)
  await publishControl(access, controlOf(deployment, change))
  await eventually('the refusal is seen', async () => {
    return (await scorer.metric('sluice_model_refused', 'role="active",reason="corrupt"')) === 1
  })
  const first = await decide(setup, events.slice(0, 1_000))
  deepStrictEqual(deciders(first), [`${RELEASED} none`])
  await scorer.logged('A model is refused.')
  await scorer.logged('weights.bin has')

  // Adding the model again repairs the store; the next message, or a few seconds later a retry, puts it into service.
  strictEqual((await addModel(store, variant.folder)).isNew, true)
  await publishControl(access, controlOf(deployment, change))
  await serving(scorer, variant.digest)
  strictEqual(await scorer.metric('sluice_model_refused'), 0)
  const second = await decide(setup, events.slice(1_000))
  deepStrictEqual(deciders(second), [`${variant.digest} 1`])
})

test('a scorer starts with the active model, or the last earlier one that can be opened', async (t) => {
  const setup = await setUp(t, 'restart')
  const { store } = setup
  const [before, active] = [variantOf(t, 'before', STRICT), variantOf(t, 'active', LAX)]
  const events = await simulatedEvents(2_000)
  await model(setup, 'activate', before.folder, '--reason', 'first')
  await model(setup, 'activate', active.folder, '--reason', 'second')
  const one = await startScorer(t, { ...setup.environment, ...SHORT_SESSION })
  deepStrictEqual(deciders(await decide(setup, events.slice(0, 1_000))), [`${active.digest} 1`])
  strictEqual(await one.end('SIGKILL'), null)

  truncateSync(join(storedFolder(store, active.digest), 'model.json'), 10)
  const two = await startScorer(t, setup.environment)
  strictEqual(await two.metric('sluice_model_refused', 'reason="corrupt"'), 1)
  const batches = await decide(setup, events.slice(1_000))
  deepStrictEqual(deciders(batches), [`${before.digest} none`])
})

test('an aligned replay ignores control messages: the configured model decides', async (t) => {
  const setup = await setUp(t, 'aligned')
  const variant = variantOf(t, 'ignored', STRICT)
  await model(setup, 'activate', variant.folder, '--reason', 'not for replays')
  await startScorer(t, { ...setup.environment, SLUICE_ALIGNMENT: 'aligned' })
  deepStrictEqual(deciders(await decide(setup, await simulatedEvents(1_000))), [`${RELEASED} none`])
})

test('scorers killed while models change lose nothing, and each decision batch records its model', async (t) => {
  const setup = await setUp(t, 'swaps')
  const { stream, outputs } = setup
  const variants = [variantOf(t, 'one', STRICT), variantOf(t, 'two', LAX)] as const
  for (const { folder } of variants) await addModel(setup.store, folder)
  const access = { brokers: stream.brokers, topicPrefix: stream.prefix, codecs: stream.codecs }
  const environment = { ...setup.environment, SLUICE_BATCH_SIZE_MAX: '32' }
  const events = await simulatedEvents(6_000)
  const random = seededNumbers(7)
  const named = new Map<number, string>()
  let deployment = NO_DEPLOYMENT
  const part = Math.ceil(events.length / 6)
  for (let turn = 0; turn < 6; turn += 1) {
    const scorer = await startScorer(t, { ...environment, ...SHORT_SESSION })
    const before = outputs.decisionBatches.length
    await stream.send(events.slice(turn * part, (turn + 1) * part))
    await outputs.until('the first decision batches', () => outputs.decisionBatches.length > before)
    const { digest } = variants[turn % 2] ?? variants[0]
    deployment = activated(deployment, digest)
    const change = { author: 'test', reason: `turn ${turn}`, atMs: turn }
    named.set(await publishControl(access, controlOf(deployment, change)), digest)
    const target = outputs.decisionBatches.length + (random() % 20)
    await outputs.until(
      'the kill',
      () => outputs.decisionBatches.length >= target || outputs.isCaughtUp,
    )
    await scorer.end('SIGKILL')
  }
  const last = await startScorer(t, environment)
  await outputs.readToEnd()
  deepStrictEqual(await audit(stream, outputs), [])
  const seen = new Set<string>()
  for (const { batch } of outputs.decisionBatches) {
    const { controlPosition, modelDigest } = batch
    strictEqual(modelDigest, controlPosition === null ? RELEASED : named.get(controlPosition))
    seen.add(modelDigest)
  }
  ok(seen.size >= 2, 'no model was changed while the stream was decided')
  await serving(last, deployment.active ?? '')
})

test('a shadow model scores every decision without effect, and labels are compared with both', async (t) => {
  const setup = await setUp(t, 'shadow')
  const { stream, outputs } = setup
  // Both are cascades of the same nets, so the shadow's scores equal the deciding ones, the large net's included.
  const released = variantOf(t, 'lax', LAX)
  const variant = variantOf(t, 'strict', STRICT)
  await model(setup, 'shadow', variant.folder, '--reason', 'compare')
  const scorer = await startScorer(t, {
    ...setup.environment,
    SLUICE_MODEL: released.folder,
    SLUICE_VERIFY_TIMEOUT_MS: '10000',
  })
  // Few cards, and a span long enough for labels to arrive.
  await stream.send(await simulatedEvents(6_000))
  await outputs.readToEnd()
  deepStrictEqual(deciders(outputs.decisionBatches), [`${released.digest} 0`])
  deepStrictEqual(await audit(stream, outputs), [])
  const decisions = outputs.decisionBatches.flatMap(({ batch }) => batch.decisions)
  const scored = decisions.filter(({ score, revision }) => score !== null && revision === 0)
  await eventually('the shadow has scored all rows', async () => {
    return (await scorer.metric('sluice_shadow_rows_total')) >= scored.length
  })
  await eventually('their outcomes are counted', async () => {
    return (await scorer.metric('sluice_shadow_outcomes_total')) === scored.length
  })
  ok(
    decisions.some(({ annotations }) => annotations.includes('verified')),
    'the large net decided some',
  )
  // The alerts that the stricter thresholds would have given for the same scores.
  const alerted = scored.filter(({ score }) => (score ?? 0) >= STRICT.flag).length
  const agreed = await scorer.metric('sluice_shadow_outcomes_total', 'shadow="approve"')
  strictEqual(scored.length - agreed, alerted)
  // Labels are applied on arrival, and not only before decisions.
  await eventually('a label comes', async () => {
    return (await scorer.metric('sluice_shadow_labelled_total', 'role="shadow"')) > 0
  })
  // The metric is updated every few seconds.
  await eventually('drift is seen', async () => {
    return (await scorer.metric('sluice_feature_values_total', 'feature="score"')) > 0
  })
})

test('the fairness gate stops an activation by the decisions of the stream, unless it is overridden', async (t) => {
  const setup = await setUp(t, 'gate')
  const { stream, outputs, store } = setup
  const variant = variantOf(t, 'gated', STRICT)
  await startScorer(t, setup.environment)
  await stream.send(await simulatedEvents(6_000, { fraudShare: 0.1 }))
  await outputs.readToEnd()
  const rule = join(store, 'rule.json')
  const gate = (falsePositiveRatioMax: number): void => {
    const groups = [{ column: 'is_card_not_present', edges: [0] }]
    const least = { recallRatioMin: 0, genuineMin: 20, fraudsMin: 5, confidence: 0.9 }
    writeFileSync(
      rule,
      JSON.stringify({ groups, threshold: 'flag', falsePositiveRatioMax, ...least }),
    )
  }
  const activate = (...more: string[]) =>
    runSluice(
      ['model', 'activate', variant.folder, '--reason', 'try', '--evaluation', 'topics', ...more],
      { ...setup.environment, SLUICE_FAIRNESS_RULE: rule },
    )
  gate(1)
  const stopped = await activate()
  ok(stopped.stderr.includes('mature decisions'), stopped.stderr)
  strictEqual(stopped.code, 1, stopped.stderr)
  ok(stopped.stderr.includes('SLUICE_MODEL_UNFAIR'), stopped.stderr)
  strictEqual((await model(setup, 'list'))['inForce'], null)

  const overridden = await activate('--override')
  strictEqual(overridden.code, 0, overridden.stderr)
  const { reason } = (await model(setup, 'list'))['inForce'] as { reason: string }
  ok(reason.startsWith('try [gate overridden: '), reason)

  gate(1_000)
  const passed = await activate()
  strictEqual(passed.code, 0, passed.stderr)
})
