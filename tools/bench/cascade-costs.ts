// What draft and target of a cascade cost: processor time of a million payments, and its price at what a core costs for
// an hour. A GPU's time is no part of it.

import { resolve } from 'node:path'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import type { Backend } from '../../services/core/scoring/scoring-model.ts'
import { readModelFolder } from '../../services/platform/tensorflow/model-folder.ts'
import { repositoryRoot } from '../../services/cli/command.ts'

/** The batch size that figures are taken at, near what partitions score at a time. */
const BATCH_ROWS = 256

const ROWS = 1_000_000
const MICROSECONDS_PER_HOUR = 3.6e9

/** What was measured of one batch size. */
interface MeasuredCalls {
  readonly rows: number
  readonly rowsPerSecond: number
  readonly cpuMicrosecondsPerRow: number
}

/** What was measured on one backend, by the names of the nets. */
interface MeasuredBackend {
  readonly backend: Backend
  readonly nets: readonly {
    readonly net: string
    readonly calls: readonly MeasuredCalls[] | null
  }[]
}

/** The two nets of a folder, as the benchmark names them. */
export interface CascadeParts {
  readonly folder: string
  readonly draft: string
  readonly target: string
  /** Of all payments: those in the band on validation, and the sample that watches agreement. */
  readonly targetShare: number
}

export interface PartCost {
  readonly rowsPerSecond: number
  readonly cpuMicrosecondsPerRow: number
  /** Of a million rows, in the currency of the price. */
  readonly pricePerMillion: number
}

/** Costs of one cascade on one backend. */
export interface CascadeCost {
  readonly folder: string
  readonly backend: Backend
  readonly batchRows: number
  readonly targetShare: number
  readonly draft: PartCost
  readonly target: PartCost
  /** A million payments: the draft for all, the target for its share. */
  readonly cascade: PartCost
}

/** Null for a model of one net. @throws SluiceError as readModelFolder. */
export async function cascadeOf(folder: string): Promise<CascadeParts | null> {
  const path = resolve(repositoryRoot(), folder)
  const { manifest } = await readModelFolder(path, DEFAULT_RATES.digest)
  const { target } = manifest
  if (target === null) return null
  const { verifiedShare, sampleShare } = target
  return {
    folder,
    draft: `${folder}, draft`,
    target: `${folder}, target`,
    targetShare: verifiedShare + (1 - verifiedShare) * sampleShare,
  }
}

/** From measured calls; backends on which one of both was not measured are left out. */
export function cascadeCosts(
  backends: readonly MeasuredBackend[],
  cascades: readonly CascadeParts[],
  coreHourPrice: number,
): readonly CascadeCost[] {
  return cascades.flatMap(({ folder, draft, target, targetShare }) =>
    backends.flatMap(({ backend, nets }) => {
      const callsOf = (name: string): MeasuredCalls | undefined =>
        nets
          .find(({ net }) => net === name)
          ?.calls?.filter(({ rows }) => rows <= BATCH_ROWS)
          .at(-1)
      const [ofDraft, ofTarget] = [callsOf(draft), callsOf(target)]
      if (ofDraft === undefined || ofTarget?.rows !== ofDraft.rows) return []
      const cost = (rowsPerSecond: number, cpuMicrosecondsPerRow: number): PartCost => ({
        ...{ rowsPerSecond, cpuMicrosecondsPerRow },
        pricePerMillion: ((cpuMicrosecondsPerRow * ROWS) / MICROSECONDS_PER_HOUR) * coreHourPrice,
      })
      const secondsPerRow = 1 / ofDraft.rowsPerSecond + targetShare / ofTarget.rowsPerSecond
      return [
        {
          ...{ folder, backend, targetShare },
          batchRows: ofDraft.rows,
          draft: cost(ofDraft.rowsPerSecond, ofDraft.cpuMicrosecondsPerRow),
          target: cost(ofTarget.rowsPerSecond, ofTarget.cpuMicrosecondsPerRow),
          cascade: cost(
            1 / secondsPerRow,
            ofDraft.cpuMicrosecondsPerRow + targetShare * ofTarget.cpuMicrosecondsPerRow,
          ),
        },
      ]
    }),
  )
}
