// Training runs that take seconds, for tests of their results.

import { withModelDocumentation } from '../../tools/model-documentation/model-documentation.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { SIMULATION_START_MS } from '../../tools/simulator/options.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import {
  OPEN_TERMS,
  runTrainer,
  type TrainSummary,
  type TrainerOptions,
} from '../../services/trainer/index.ts'

const DAY_MS = 86_400_000

/** An empty folder, deleted at the end. */
export function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-train-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return folder
}

/** Trains small nets for a few epochs on a small history with many frauds. */
export function train(
  out: string,
  change: Partial<TrainerOptions> = {},
  days = 24,
): Promise<TrainSummary> {
  const history = simulate({
    seed: 11,
    cards: 250,
    terminals: 100,
    merchants: 60,
    fraudShare: 0.06,
    untilMs: SIMULATION_START_MS + days * DAY_MS,
  })
  return runTrainer(
    history,
    {
      out,
      force: false,
      name: 'small',
      source: 'simulator',
      caveat: 'Simulated.',
      seeds: [5],
      epochsMax: 2,
      shape: { draftUnits: [8], targetUnits: [8], eventUnits: [4], members: 2 },
      split: { warmUpMs: 0, gapMs: DAY_MS, validationShare: 0.25, testShare: 0.25 },
      backend: 'wasm',
      rates: DEFAULT_RATES,
      document: withModelDocumentation,
      release: { terms: OPEN_TERMS, releasedOn: '2026-01-31', command: 'sluice train --simulate' },
      ...change,
    },
    () => undefined,
  )
}
