// Goal: a scorer that blocks needs the right to write leases, and readers of decisions work with the rights of their
// roles and need each. Method: as secure-connections.test.ts, with a model that blocks everything.

import { ok, strictEqual } from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import kafkajs from 'kafkajs'
import { ingest, INGEST_DEFAULTS } from '../../services/lake/index.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { readToEnd } from '../../services/platform/kafka/committed-reader.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { loadScorerConfig } from '../../services/scorer/config.ts'
import { openScorer } from '../../services/scorer/scorer.ts'
import { loadSkewConfig, runSkewMeter } from '../../services/skew/index.ts'
import { openKeptLog } from '../support/kept-log.ts'
import { BLOCK_ALL, draftVariantOf } from '../support/model-variants.ts'
import { eventually } from '../support/poll.ts'
import { rightsOf } from '../support/secure-roles.ts'
import {
  openRolesAtWork,
  runUntilDone,
  whenCounted,
  type RolesAtWork,
} from '../support/secure-roles-at-work.ts'
import { GROUP, kafkaOf, PREFIX } from '../support/secure-stage.ts'
import { simulatedEvents } from '../support/streams.ts'

let work: RolesAtWork

before(async () => {
  work = await openRolesAtWork(['scorer', 'skew-meter', 'lake'])
})

after(() => work.close())

test('a scorer that blocks needs the right to write leases', async (t) => {
  const { folder } = draftVariantOf(t, 'block-all', BLOCK_ALL)
  const simulated = await simulatedEvents(10)
  const pattern = simulated.flatMap((event) =>
    event.kind === 'transaction' ? [event.transaction] : [],
  )[0]
  ok(pattern !== undefined)
  const rights = rightsOf('scorer', PREFIX, GROUP).filter(
    ({ resourceName, operation }) =>
      resourceName === topicName(PREFIX, 'leases') && operation === kafkajs.AclOperationTypes.WRITE,
  )
  strictEqual(rights.length, 1)
  let number = 0
  await work.stage.eachIsNeeded(rights, async () => {
    const { log } = openKeptLog()
    const before = await leaseCount()
    const env = { ...work.stage.scorerEnv(), SLUICE_MODEL: folder }
    const scorer = await openScorer(loadScorerConfig(env), log)
    const failed = scorer.failed.then((error) => Promise.reject(error))
    try {
      // Without state nothing is blocked.
      const isRestored = async (): Promise<boolean> => {
        const page = await fetch(`http://127.0.0.1:${scorer.metricsPort}/readyz`)
        return (await page.text()).includes('"degradedPartitions":[]')
      }
      await eventually('the state is restored', isRestored, { failed })
      number += 1
      const paid = { ...pattern, id: `paid-${number}`, card: `paying-${number}` }
      await work.send('transactions', paid.card, work.stage.codecs.transaction.encode(paid))
      const isLeased = async (): Promise<boolean> => (await leaseCount()) > before
      await eventually('a lease is written', isLeased, { failed })
    } finally {
      await scorer.close()
    }
  })
})

async function leaseCount(): Promise<number> {
  let count = 0
  await readToEnd(
    {
      ...kafkaOf(work.stage.kafkaEnv('admin')),
      name: 'test-leases',
      topics: [topicName(PREFIX, 'leases')],
      startAt: 'beginning',
    },
    ({ messages }) => {
      count += messages.length
    },
  )
  return count
}

test('a skew meter recomputes decisions with its documented rights, and needs each of them', async () => {
  const rights = rightsOf('skew-meter', PREFIX, GROUP)
  await work.stage.eachIsNeeded(rights, async () => {
    const config = loadSkewConfig(work.environmentOf('skew', { SLUICE_SKEW_SAMPLE: '1' }))
    await runUntilDone((signal, done) =>
      runSkewMeter(
        {
          config,
          from: 'beginning',
          clock: systemClock,
          log: openKeptLog().log,
          onReady: (port) => {
            whenCounted(port, ['sluice_skew_decisions_total'], signal, done)
          },
        },
        signal,
      ),
    )
    await work.stage.noGroupIsLeft('sluice-skew-')
  })
})

test('a lake is filled with its documented rights, and each is needed', async () => {
  await work.send('transactions', 'card', 'no transaction')
  await work.stage.eachIsNeeded(rightsOf('lake', PREFIX, GROUP), async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-secure-lake-'))
    try {
      const { rows } = await ingest(
        {
          ...kafkaOf(work.stage.kafkaEnv('lake')),
          ...{ folder, topicPrefix: PREFIX, codecs: work.stage.codecs, clock: systemClock },
          ...INGEST_DEFAULTS,
          ...{ until: 'end', acceptGap: false, compactMs: null },
          onFlush: () => undefined,
          onMerge: () => undefined,
        },
        new AbortController().signal,
      )
      ok(rows.transactions > 0 && rows.decisions > 0)
      await work.stage.noGroupIsLeft('sluice-lake-')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
