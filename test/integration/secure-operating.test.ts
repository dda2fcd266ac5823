// Goal: operators who change models and policies, release cards or examine decisions can do so with their documented
// rights, and need each of them. Method: as secure-connections.test.ts, on a stream that a scorer has decided: the
// commands run as these users; then each right is removed in turn, and the work must fail with a clear error, or leave
// something behind.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test, type TestContext } from 'node:test'
import type { AclEntry } from 'kafkajs'
import { verifyChain } from '../../services/cli/audit/verify-chain.ts'
import { readBreakers } from '../../services/cli/commands/breaker.ts'
import { gatherAlert } from '../../services/cli/commands/explain.ts'
import { countTopics } from '../../services/cli/model/candidate-rows.ts'
import { loadReplayConfig, runReplay } from '../../services/cli/replay/run-replay.ts'
import { ModelsByDigest } from '../../services/cli/replay/recorded-deciders.ts'
import {
  breakerControlOf,
  controlOf,
  NO_DEPLOYMENT,
  releaseControlOf,
} from '../../services/core/control/deployment.ts'
import { FairnessCounts, DEFAULT_FAIRNESS_RULE } from '../../services/core/scoring/fairness.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { readBreakerResets, readLiveLeases } from '../../services/platform/kafka/block-topics.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import {
  publishControl,
  readDeployment,
  type ControlAccess,
} from '../../services/platform/kafka/control-topic.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { topicStore } from '../../services/platform/stores/topic-store.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { measureSkew } from '../../services/skew/index.ts'
import { folderStores } from '../support/folder-stores.ts'
import { BLOCK_ALL, draftVariantOf, temporaryFolder, variantOf } from '../support/model-variants.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { rightsOf } from '../support/secure-roles.ts'
import { openRolesAtWork, type RolesAtWork } from '../support/secure-roles-at-work.ts'
import { GROUP, kafkaOf, PREFIX } from '../support/secure-stage.ts'
import { simulatedEvents } from '../support/streams.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { RatesByDigest } from '../../services/platform/rate-store.ts'

const TRANSACTIONS = 200
const WORD = { author: 'test', reason: 'tries a right', atMs: 1 }
const EVENT_AHEAD_MS_MAX = 3_600_000
const POLICY =
  'apiVersion: sluice/v1\nname: mine\nmatch: first\nthresholds: {flag: 0.1, block: 0.9}\n'

type User = 'scorer' | 'models' | 'blocks' | 'investigator'

const QUIET = (): void => undefined
const never = new AbortController().signal

let work: RolesAtWork

before(async () => {
  work = await openRolesAtWork(['scorer', 'model-operator', 'block-operator', 'investigator'])
})

after(() => work.close())

function accessOf(user: User): ControlAccess {
  return { ...kafkaOf(work.stage.kafkaEnv(user)), topicPrefix: PREFIX, codecs: work.stage.codecs }
}

/** Runs a command as this user. */
async function sluice(user: User, ...args: readonly string[]): Promise<unknown> {
  const env = work.environmentOf(user, { SLUICE_GROUP_ID: GROUP })
  const { code, out, err } = await work.stage.sluice([...args, '--json'], env)
  strictEqual(code, 0, `sluice ${args.join(' ')}: ${out}${err}`)
  return JSON.parse(out) as unknown
}

/** The rights of a role to resources with these name endings. */
function someRightsOf(role: string, ...ends: readonly string[]): readonly AclEntry[] {
  return rightsOf(role, PREFIX, GROUP).filter(({ resourceName }) =>
    ends.some((end) => resourceName.endsWith(end)),
  )
}

async function noGroupIsLeft(...starts: readonly string[]): Promise<void> {
  for (const start of starts) await work.stage.noGroupIsLeft(start)
}

interface Decided {
  /** The first block. */
  readonly alert: Alert
  /** The model that decided. */
  readonly folder: string
}

/** A scorer decides some transactions, and blocks cards. */
async function decide(t: TestContext): Promise<Decided> {
  const { folder } = draftVariantOf(t, 'block-all', BLOCK_ALL)
  const { transaction, label, alert } = work.stage.codecs
  const scorer = await startScorer(t, { ...work.stage.scorerEnv(), SLUICE_MODEL: folder })
  // Without state nothing is blocked.
  await eventually('the state is restored', async () =>
    (await scorer.page('/readyz')).body.includes('"degradedPartitions":[]'),
  )
  for (const event of await simulatedEvents(TRANSACTIONS)) {
    if (event.kind === 'transaction')
      await work.send('transactions', event.transaction.card, transaction.encode(event.transaction))
    else if (event.kind === 'label')
      await work.send('labels', event.label.card, label.encode(event.label))
  }
  await eventually('all is decided', async () => {
    return (await scorer.metric('sluice_decisions_total')) === TRANSACTIONS
  })
  strictEqual(await scorer.end('SIGTERM'), 0, scorer.log)
  const blocks: Alert[] = []
  await readToEnd(
    {
      ...kafkaOf(work.stage.kafkaEnv('admin')),
      name: 'test-alerts',
      topics: [topicName(PREFIX, 'alerts')],
      startAt: 'beginning',
    },
    ({ messages }) => {
      for (const { value } of messages) {
        const read = alert.decode(value)
        if (read.ok && read.value.action === 'block') blocks.push(read.value)
      }
    },
  )
  const [first] = blocks
  ok(first !== undefined, 'a card is blocked')
  return { alert: first, folder }
}

test('operators of a secured stream', async (t) => {
  const { alert, folder } = await decide(t)
  const store = temporaryFolder(t, 'store')

  await t.test('models and policies are changed with the rights of their operator', async () => {
    const { folder: other } = variantOf(t, 'other', { flag: 0.1, block: 0.9 })
    const change = ['--store', store, '--reason', 'test']
    await sluice('models', 'model', 'shadow', other, ...change)
    await sluice('models', 'model', 'activate', folder, ...change)
    await sluice('models', 'model', 'rollback', ...change)
    await sluice('models', 'model', 'list', '--store', store)
    const file = join(store, 'mine.yaml')
    writeFileSync(file, POLICY)
    await sluice('models', 'policy', 'apply', file, ...change)
    await sluice(
      'models',
      ...['policy', 'promote', '--to', 'flag', '--override-reason', 'test', ...change],
    )
    await sluice('models', 'policy', 'status', '--store', store)
    await sluice('models', 'policy', 'rollback', ...change)
  })

  await t.test('the operator of models and policies needs each right', async () => {
    const access = accessOf('models')
    const ends = ['control', 'artifacts', 'sluice-model-', 'sluice-policy-']
    const changing = someRightsOf('model-operator', ...ends)
    strictEqual(changing.length, 8)
    let policies = 0
    await work.stage.eachIsNeeded(changing, async () => {
      for (const about of ['model', 'policy'] as const) {
        const { deployment } = (await readDeployment(access, about)) ?? {
          deployment: NO_DEPLOYMENT,
        }
        await publishControl(access, controlOf(deployment, WORD, about))
      }
      policies += 1
      await topicStore(access).put('policy', Buffer.from(`${POLICY}# ${policies}\n`))
      await noGroupIsLeft('sluice-model-', 'sluice-policy-')
    })
    const candidate = await openScoringModel({ folder, backend: 'auto' })
    const rule = DEFAULT_FAIRNESS_RULE
    const judging = rightsOf('model-operator', PREFIX, GROUP).filter(
      (right) => !changing.some(({ resourceName }) => resourceName === right.resourceName),
    )
    await work.stage.eachIsNeeded(judging, async () => {
      const counts = new FairnessCounts(rule)
      await countTopics(
        { candidate, rule, counts },
        access,
        { matureMs: 0, eventAheadMsMax: 0 },
        never,
      )
      ok(counts.report().rows > 0)
      const rates = new RatesByDigest(DEFAULT_RATES)
      const bounds = { rates, eventAheadMsMax: EVENT_AHEAD_MS_MAX, messagesMax: 1_000_000 }
      const skew = { ...access, ...bounds, decidedFromMs: 0, onProgress: QUIET }
      ok((await measureSkew(skew, never)).compared > 0)
      ok((await readBreakers(access, GROUP)).partitions.length > 0)
      await noGroupIsLeft('sluice-features-', 'sluice-skew-', 'sluice-breaker-')
    })
    candidate.close()
  })

  await t.test(
    'cards are released and breakers reset with the documented rights, each needed',
    async () => {
      const [held] = await readLiveLeases(accessOf('blocks'))
      ok(held !== undefined, 'a card is still blocked')
      await sluice('blocks', 'release', held.card, '--reason', 'test')
      await sluice('blocks', 'breaker', 'status')
      await sluice('blocks', 'breaker', 'reset', '--reason', 'test')
      const access = accessOf('blocks')
      await work.stage.eachIsNeeded(rightsOf('block-operator', PREFIX, GROUP), async () => {
        ok((await readLiveLeases(access)).length > 0)
        await publishControl(access, releaseControlOf(held, WORD))
        const resets = await readBreakerResets(access)
        await publishControl(access, breakerControlOf(resets, WORD))
        ok((await readBreakers(access, GROUP)).partitions.length > 0)
        await noGroupIsLeft('sluice-release-', 'sluice-breaker-')
      })
    },
  )

  await t.test(
    'a scorer and an investigator read the topic of policies with one right',
    async () => {
      const store = topicStore(accessOf('models'))
      const digest = await store.put('policy', Buffer.from(POLICY))
      for (const [role, user] of [
        ['scorer', 'scorer'],
        ['investigator', 'investigator'],
      ] as const) {
        const rights = someRightsOf(role, 'artifacts')
        strictEqual(rights.length, 1)
        await work.stage.eachIsNeeded(rights, async () => {
          strictEqual(String(await topicStore(accessOf(user)).get('policy', digest)), POLICY)
        })
      }
    },
  )

  await t.test('decisions are examined with the documented rights, each needed', async () => {
    const { transactionId, alertId } = alert
    const model = ['--model', folder]
    await sluice('investigator', 'features', transactionId)
    await sluice('investigator', 'explain', alertId)
    await sluice('investigator', 'replay', alertId, ...model)
    await sluice('investigator', 'audit', 'verify', '--anchors', join(store, 'none.ndjson'))
    const stream = accessOf('investigator')
    const config = loadReplayConfig({}, [folder], folderStores(store))
    const reading = rightsOf('investigator', PREFIX, GROUP).filter(
      ({ resourceName }) => !resourceName.endsWith('artifacts'),
    )
    await work.stage.eachIsNeeded(reading, async () => {
      const rates = new RatesByDigest(DEFAULT_RATES)
      const bounds = { revision: 0, rates, eventAheadMsMax: EVENT_AHEAD_MS_MAX, onProgress: QUIET }
      const { decision } = await gatherAlert(stream, { alertId, ...bounds }, never)
      ok(decision.features !== null)
      const models = new ModelsByDigest(config.places)
      const range = { kind: 'alert', alertId } as const
      const { decisions } = await runReplay(stream, range, config, models, {
        onProgress: QUIET,
        signal: never,
      }).finally(() => {
        models.close()
      })
      ok(decisions > 0)
      const anchors = { groupId: GROUP, anchors: [], onProgress: QUIET }
      ok((await verifyChain(stream, anchors, never)).some(({ newest }) => newest !== null))
      const groups = ['features', 'explain', 'replay', 'audit'].map((name) => `sluice-${name}-`)
      await noGroupIsLeft(...groups)
    })
  })

  await t.test('no secret is in anything that was written', () => {
    const found = work.stage.servers.secrets.filter((secret) =>
      work.stage.outputs.some((text) => text.includes(secret)),
    )
    ok(work.stage.outputs.length > 20, 'there is something to search')
    deepStrictEqual(found, [])
  })
})
