// Goal: a stream with a catalogue of its own is exact as with the shipped one: a model trained with it decides, every
// decision is recomputed from the log bit for bit, and a process with the shipped catalogue refuses the model.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { catalogueText } from '../../services/core/features/catalogue/catalogue-file.ts'
import { hashOfFeatures } from '../../services/core/features/catalogue/feature-list.ts'
import { SHIPPED_FEATURES } from '../../services/core/features/catalogue/shipped-features.ts'
import { HOUR_MS } from '../../services/core/features/catalogue/time.ts'
import { disturbed } from '../support/disturbed.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'

const TRANSACTIONS = 1_500

test('a catalogue of one’s own is trained, decided and replayed with no mismatch', async (t) => {
  const features = SHIPPED_FEATURES.filter(({ aggregate }) => aggregate !== 'distinct').map(
    (each) =>
      each.name === 'card_count_10m'
        ? { ...each, name: 'card_count_3h', windowMs: 3 * HOUR_MS }
        : each,
  )
  const folder = temporaryFolder(t, 'own-catalogue')
  const catalogue = join(folder, 'features.yaml')
  writeFileSync(catalogue, catalogueText(features))
  const model = join(folder, 'model')
  const own = { SLUICE_FEATURES: catalogue, SLUICE_MODEL: model }
  const small = ['--cards', '200', '--days', '30', '--epochs', '1', '--gap', '1d']
  const trained = await runSluice(
    ['train', '--simulate', ...small, '--out', model, '--backend', 'wasm'],
    own,
  )
  strictEqual(trained.code, 0, trained.stderr)

  const stream = await openStream(t, 'own-catalogue')
  const outputs = followOutputs(t, stream)
  await stream.send(disturbed(await simulatedEvents(TRANSACTIONS, { cards: 60 })))
  const environment = stream.patientEnvironment({ ...own, SLUICE_VERIFY_TIMEOUT_MS: '60000' })
  await startScorer(t, environment)
  await outputs.until('all answers', () => outputs.isCaughtUp)
  const [first] = outputs.decisionBatches
  ok(first !== undefined)
  deepStrictEqual(
    [first.batch.featureListHash, first.batch.featureCount],
    [hashOfFeatures(features), features.length],
  )

  const replayed = await runSluice(['replay', '--all', '--json'], environment)
  const {
    isProven,
    mismatched,
    features: compared,
  } = JSON.parse(replayed.stdout) as {
    readonly isProven: boolean
    readonly mismatched: number
    readonly features: { readonly compared: number }
  }
  deepStrictEqual([replayed.code, isProven, mismatched], [0, true, 0], replayed.stdout)
  ok(compared.compared > TRANSACTIONS)

  const refused = await runSluice(['model', 'verify', model], { SLUICE_FEATURES: '' })
  ok(refused.code !== 0)
  match(refused.stdout + refused.stderr, /SLUICE_MODEL_INCOMPATIBLE|features/)
})
