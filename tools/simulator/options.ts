// Options of the simulator, with defaults and limits.

import { SluiceError } from '../../services/core/errors.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'

const DAY_MS = 86_400_000

export interface SimulatorOptions {
  /** 0 to 2^32 - 1. The same seed and options give the same stream. */
  readonly seed: number
  /** Event time at which the simulated world begins, milliseconds UTC. */
  readonly startMs: number
  /** No transaction at or after this event time; null for an endless stream. */
  readonly untilMs: number | null
  /** Maximum number of transactions; null for no limit. */
  readonly transactionsMax: number | null
  readonly cards: number
  readonly terminals: number
  readonly merchants: number
  /** Each card has 1 to this many devices for e-commerce. */
  readonly devicesPerCardMax: number
  /** Share of transactions that are fraud, in the long run. */
  readonly fraudShare: number
  /** Usual time from a fraud to its chargeback; analysts and customers are faster. */
  readonly labelDelayMs: number
  /** Share of genuine transactions that get a label. */
  readonly genuineLabelShare: number
  /** ISO 4217 code in which the whole world pays, of DEFAULT_RATES; null for the currency of each city. */
  readonly currency: string | null
}

/** Thursday 2026-01-01T00:00:00Z. It is fixed, since the stream must not depend on a clock. */
export const SIMULATION_START_MS = 1_767_225_600_000

/** Defaults. Seed 42 is that of the demo. */
export const SIMULATOR_DEFAULTS: SimulatorOptions = Object.freeze({
  seed: 42,
  startMs: SIMULATION_START_MS,
  untilMs: null,
  transactionsMax: null,
  cards: 2_000,
  terminals: 1_000,
  merchants: 600,
  devicesPerCardMax: 2,
  fraudShare: 0.008,
  labelDelayMs: 7 * DAY_MS,
  genuineLabelShare: 0.02,
  currency: null,
})

/** Currencies in which the whole world can pay. */
export const SIMULATED_CURRENCIES: readonly string[] = [
  DEFAULT_RATES.reference,
  ...DEFAULT_RATES.rates.map(({ currency }) => currency),
].toSorted()

interface Limit {
  readonly min: number
  readonly max: number
  readonly integer: boolean
}

type Numbers = Exclude<keyof SimulatorOptions, 'currency'>

const LIMITS: Readonly<Record<Numbers, Limit>> = {
  seed: { min: 0, max: 4_294_967_295, integer: true },
  startMs: { min: 946_684_800_000, max: 4_000_000_000_000, integer: true },
  untilMs: { min: 946_684_800_000, max: 4_000_000_000_000, integer: true },
  transactionsMax: { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true },
  cards: { min: 1, max: 1_000_000, integer: true },
  terminals: { min: 1, max: 200_000, integer: true },
  merchants: { min: 2, max: 100_000, integer: true },
  devicesPerCardMax: { min: 1, max: 8, integer: true },
  fraudShare: { min: 0, max: 0.2, integer: false },
  labelDelayMs: { min: 1_000, max: 180 * DAY_MS, integer: true },
  genuineLabelShare: { min: 0, max: 1, integer: false },
}

/**
 * Fills in defaults and checks limits.
 * @throws SluiceError SLUICE_USAGE naming every option that is out of bounds.
 */
export function completeSimulatorOptions(
  options: Readonly<Partial<SimulatorOptions>>,
): SimulatorOptions {
  const complete: SimulatorOptions = { ...SIMULATOR_DEFAULTS, ...options }
  const problems: string[] = []
  for (const [name, limit] of Object.entries(LIMITS)) {
    const value = complete[name as Numbers]
    if (value === null) continue
    const isKind = limit.integer ? Number.isSafeInteger(value) : Number.isFinite(value)
    if (isKind && value >= limit.min && value <= limit.max) continue
    const kind = limit.integer ? 'an integer' : 'a number'
    problems.push(`${name}=${value} is not ${kind} from ${limit.min} to ${limit.max}; change it.`)
  }
  if (complete.untilMs !== null && complete.untilMs < complete.startMs) {
    problems.push(`untilMs=${complete.untilMs} is before startMs=${complete.startMs}; swap them.`)
  }
  const { currency } = complete
  if (currency !== null && !SIMULATED_CURRENCIES.includes(currency)) {
    problems.push(
      `currency=${currency} is not one of ${SIMULATED_CURRENCIES.join(', ')}; change it.`,
    )
  }
  if (problems.length > 0) {
    throw new SluiceError('SLUICE_USAGE', `The simulator cannot start: ${problems.join(' ')}`, {
      details: { problems },
    })
  }
  return complete
}
