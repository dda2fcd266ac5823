// Trains on one week of the protocol with one seed and scores what it assesses; scores are kept, so that a run that ended
// early goes on, and what it has counts.

import { scoreOf, type Calibration } from '../../core/scoring/calibration.ts'
import type { OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from '../dataset.ts'
import { damaged, type KeptFile } from '../run-folder.ts'
import { trainCascade, type CascadeShape } from '../train-cascade.ts'
import type { ProtocolWeek } from './handbook-weeks.ts'
import type { AssessedScores } from './protocol-figures.ts'

/** Logits of frauds weigh as all others in training, so they are probabilities as they are. */
const IDENTITY: Calibration = { kind: 'identity', slope: 1, intercept: 0 }

const HEADER = 'transaction_id,draft,target'

export interface WeekOptions {
  readonly seed: number
  readonly epochs: number
  readonly shape: CascadeShape
  readonly onProgress: (line: string) => void
}

/** Scores of the assessed rows of one week, by net. */
export interface NetScores {
  readonly draft: Float64Array
  readonly target: Float64Array
}

/** The kept scores, or new ones, which are then kept. @throws SluiceError SLUICE_USAGE when the file is damaged. */
export async function scoreWeek(
  backend: OpenBackend,
  dataset: Dataset,
  week: ProtocolWeek,
  file: KeptFile | null,
  options: WeekOptions,
): Promise<NetScores> {
  const ids = idsOf(dataset, week)
  const bytes = (await file?.read()) ?? null
  if (file !== null && bytes !== null) {
    const kept = parseScores(bytes.toString('utf8'), ids)
    if (kept === null) throw damaged(file.path)
    return kept
  }
  const scores = await trainWeek(backend, dataset, week, options)
  await file?.write(Buffer.from(scoresText(ids, scores)))
  return scores
}

async function trainWeek(
  backend: OpenBackend,
  dataset: Dataset,
  { trainStart, train, assessed }: ProtocolWeek,
  { seed, epochs, shape, onProgress }: WeekOptions,
): Promise<NetScores> {
  const cascade = await trainCascade(backend, dataset, train, null, {
    ...{ seed, shape },
    epochsMax: epochs,
    onProgress: (line) => {
      onProgress(`week ${trainStart}, seed ${seed}: ${line}`)
    },
  })
  try {
    const scoresOf = (part: typeof cascade.draft): Float64Array =>
      part.net.logits(part.rowsOf(dataset, assessed)).map((logit) => scoreOf(logit, IDENTITY))
    return { draft: scoresOf(cascade.draft), target: scoresOf(cascade.target) }
  } finally {
    cascade.close()
  }
}

/** Ids of the assessed rows, in order. */
export function idsOf(
  dataset: Pick<Dataset, 'ids'>,
  { assessed }: ProtocolWeek,
): readonly string[] {
  return Array.from(assessed, (row) => dataset.ids[row] ?? '')
}

/** What figures are computed from. */
export function assessedScores(
  dataset: Pick<Dataset, 'truth' | 'cards' | 'eventTimesMs' | 'amountsMinor'>,
  { assessed }: ProtocolWeek,
  scores: Float64Array,
): AssessedScores {
  const rows = Array.from(assessed)
  return {
    scores,
    truth: Uint8Array.from(rows, (row) => dataset.truth[row] ?? 0),
    cards: rows.map((row) => dataset.cards[row] ?? 0),
    eventTimesMs: rows.map((row) => dataset.eventTimesMs[row] ?? 0),
    amounts: rows.map((row) => (dataset.amountsMinor[row] ?? 0) / 100),
  }
}

/** One line a row; numbers are written so that the same bits are read back. */
export function scoresText(ids: readonly string[], { draft, target }: NetScores): string {
  const lines = ids.map((id, row) => `${id},${String(draft[row])},${String(target[row])}\n`)
  return `${HEADER}\n${lines.join('')}`
}

/** Reads what `scoresText` wrote; null when it is not whole, or of other rows. */
export function parseScores(text: string, ids: readonly string[]): NetScores | null {
  const [header, ...lines] = text.split('\n')
  if (header !== HEADER || lines.pop() !== '' || lines.length !== ids.length) return null
  const draft = new Float64Array(ids.length)
  const target = new Float64Array(ids.length)
  for (const [row, line] of lines.entries()) {
    const [id, ofDraft = '', ofTarget = '', ...others] = line.split(',')
    draft[row] = ofDraft === '' ? NaN : Number(ofDraft)
    target[row] = ofTarget === '' ? NaN : Number(ofTarget)
    const isWhole = id === ids[row] && others.length === 0
    if (!isWhole || !Number.isFinite(draft[row]) || !Number.isFinite(target[row])) return null
  }
  return { draft, target }
}
