// Does a score for patterns never labelled help? Isolation forests on the validation weeks of the Fraud Detection Handbook's
// protocol: alone, as one more input, and where all labels of one kind of fraud are hidden. docs/evaluation.md says what
// came out. The kind of a fraud serves to hide labels and to count, never as an input.
//
//   npm run node -- test/checks/isolation-study.ts alone <folder of daily files>
//   npm run node -- test/checks/isolation-study.ts second-stage <folder> <scores.csv of sluice evaluate>
//   npm run node -- test/checks/isolation-study.ts one-more-input <folder>
//   npm run node -- test/checks/isolation-study.ts never-labelled <folder> <kind: 1, 2 or 3>

import { readOtherScores } from '../../services/trainer/protocol/csv-inputs.ts'
import { openTrainingBackend } from '../../services/trainer/net/train-cascade.ts'
import { readDataset, readKinds, weeksOf, withAllLabels } from './isolation-data.ts'
import { forestAlone, neverLabelled, oneMoreInput, secondStage } from './isolation-parts.ts'

const PARTS = ['alone', 'second-stage', 'one-more-input', 'never-labelled'] as const

const [name, folder = '', more = ''] = process.argv.slice(2)
const part = PARTS.find((each) => each === name)
const needsMore = part === 'second-stage' || part === 'never-labelled'
if (part === undefined || folder === '' || (needsMore && more === '')) {
  tell(`Give a part (${PARTS.join(', ')}), the folder, and the scores or the kind to hide.`)
  process.exitCode = 2
} else {
  await study(part)
}

async function study(chosen: (typeof PARTS)[number]): Promise<void> {
  const kinds = await readKinds(folder)
  const hiddenKind = chosen === 'never-labelled' ? more : null
  const dataset = await readDataset(folder, kinds, hiddenKind, tell)
  const weeks = weeksOf(withAllLabels(dataset, kinds), kinds)
  switch (chosen) {
    case 'alone':
      forestAlone(dataset, weeks, print)
      break
    case 'second-stage': {
      const model = await readOtherScores(more)
      const scores = weeks.map(({ trainStart, ids }) =>
        Float64Array.from(ids, (id) => model.scoreOf(trainStart, id)),
      )
      secondStage(dataset, weeks, scores, print)
      break
    }
    case 'one-more-input':
      await oneMoreInput(await openTrainingBackend('auto', tell), dataset, weeks, print)
      break
    case 'never-labelled':
      await neverLabelled(await openTrainingBackend('auto', tell), dataset, weeks, print)
      break
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}
