// Does a score for patterns never labelled help? Isolation forests on the validation weeks of the Fraud Detection Handbook's
// protocol: alone, as one more input, and where all labels of one kind of fraud are hidden. docs/evaluation.md says what
// came out. The kind of a fraud serves to hide labels and to count, never as an input.
//
//   node --import tsx test/checks/isolation-study.ts alone <folder of daily files>
//   node --import tsx test/checks/isolation-study.ts second-stage <folder> <scores.csv of sluice evaluate>
//   node --import tsx test/checks/isolation-study.ts one-more-input <folder>
//   node --import tsx test/checks/isolation-study.ts never-labelled <folder> <kind: 1, 2 or 3>

import type { Dataset } from '../../services/trainer/dataset.ts'
import { readOtherScores } from '../../services/trainer/protocol/other-scores.ts'
import { openTrainingBackend } from '../../services/trainer/training-backend.ts'
import { readDataset, readKinds, weeksOf, withAllLabels } from './isolation-data.ts'
import { forestAlone, neverLabelled, oneMoreInput, secondStage } from './isolation-parts.ts'

const [part = '', folder = '', more = ''] = process.argv.slice(2)

const kinds = await readKinds(folder)
const rows = (hiddenKind: string | null): Promise<Dataset> =>
  readDataset(folder, kinds, hiddenKind, tell)

switch (part) {
  case 'alone': {
    const dataset = await rows(null)
    forestAlone(dataset, weeksOf(dataset, kinds), print)
    break
  }
  case 'second-stage': {
    const dataset = await rows(null)
    const weeks = weeksOf(dataset, kinds)
    const model = await readOtherScores(more)
    const scores = weeks.map(({ trainStart, ids }) =>
      Float64Array.from(ids, (id) => model.scoreOf(trainStart, id)),
    )
    secondStage(dataset, weeks, scores, print)
    break
  }
  case 'one-more-input': {
    const dataset = await rows(null)
    const backend = await openTrainingBackend('auto', tell)
    await oneMoreInput(backend, dataset, weeksOf(dataset, kinds), print)
    break
  }
  case 'never-labelled': {
    const dataset = await rows(more)
    const weeks = weeksOf(withAllLabels(dataset, kinds), kinds)
    await neverLabelled(await openTrainingBackend('auto', tell), dataset, weeks, print)
    break
  }
  default:
    tell('Give a part (alone, second-stage, one-more-input or never-labelled) and the folder.')
    process.exitCode = 2
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
