// Turns counts into the figures that people compare: precision and recall, money, alerts a day, affected customers.

import type { AlertCosts } from '../scoring/alert-costs.ts'
import { type Confidence, type ShareInterval, wilsonInterval } from '../scoring/wilson.ts'
import { type Outcome, OUTCOMES } from '../wire/records.ts'
import { type Truth, TRUTHS } from './backtest-row.ts'
import type { RowFacts } from './backtest.ts'
import {
  type ByOutcome,
  type CardCount,
  type CountAndMoney,
  record,
  type Tallied,
} from './tallies.ts'

const CONFIDENCE: Confidence = 0.95

/** Agreement of the mature alerts of one kind with the frauds. */
export interface Accuracy {
  /** Share of the alerts that are frauds, with its interval at 95 %. */
  readonly precision: ShareInterval
  /** Share of all frauds that raised an alert. */
  readonly recall: ShareInterval
  /** Share of the money of all frauds; null without frauds. */
  readonly valueRecall: number | null
}

/** The value of a policy on the mature rows, in minor units of the reference currency. */
export interface Value {
  readonly blockedFraudMinor: bigint
  readonly flaggedFraudMinor: bigint
  /** The part of the flagged fraud that a flag still saves. */
  readonly flagSavesMinor: bigint
  readonly alertCostMinor: bigint
  readonly wrongBlockCostMinor: bigint
  /** Blocked fraud plus the savings of flags, less both costs. */
  readonly savedMinor: bigint
}

/** Alerts (flags and blocks) over the UTC days that have rows, mature or not. */
export interface AlertLoad {
  readonly alerts: number
  readonly meanPerDay: number
  readonly maxPerDay: number
  /** The first day with the maximum; null without alerts. */
  readonly maxDay: number | null
  /** Null when the number of analysts was not given. */
  readonly meanPerAnalystDay: number | null
  readonly maxPerAnalystDay: number | null
}

/** Figures that need labels. */
export interface LabelledFigures {
  /** Flags and blocks together. */
  readonly alerts: Accuracy
  readonly blocks: Accuracy
  readonly value: Value
  readonly blockedGoodCards: CardCount
  readonly alertedGoodCards: CardCount
}

export interface PolicyFigures {
  readonly outcomes: ByOutcome<CountAndMoney>
  readonly load: AlertLoad
  /** Null without labels. */
  readonly labelled: LabelledFigures | null
}

/** @param analysts null when not given. */
export function figuresOf(
  tallied: Tallied,
  facts: RowFacts,
  costs: AlertCosts,
  analysts: number | null,
): PolicyFigures {
  const { outcomes } = tallied
  return {
    outcomes: record(OUTCOMES, (outcome) =>
      sum(TRUTHS.map((truth: Truth) => outcomes[outcome][truth])),
    ),
    load: loadOf(tallied, facts, analysts),
    labelled: facts.labelled === 0 ? null : labelledOf(tallied, facts, costs),
  }
}

function labelledOf(tallied: Tallied, facts: RowFacts, costs: AlertCosts): LabelledFigures {
  return {
    alerts: accuracyOf(tallied, facts, ['flag', 'block']),
    blocks: accuracyOf(tallied, facts, ['block']),
    value: valueOf(tallied, costs),
    blockedGoodCards: tallied.blockedCards,
    alertedGoodCards: tallied.alertedCards,
  }
}

function accuracyOf(
  { outcomes }: Tallied,
  { frauds }: RowFacts,
  alerting: readonly Outcome[],
): Accuracy {
  const hits = sum(alerting.map((outcome) => outcomes[outcome].fraud))
  const wrong = sum(alerting.map((outcome) => outcomes[outcome].genuine))
  return {
    precision: wilsonInterval(hits.count, hits.count + wrong.count, CONFIDENCE),
    recall: wilsonInterval(hits.count, frauds.count, CONFIDENCE),
    valueRecall: frauds.minor === 0n ? null : Number(hits.minor) / Number(frauds.minor),
  }
}

function valueOf(
  { outcomes, flagSavesMinor, wrongBlockMinor }: Tallied,
  { alertMinor }: AlertCosts,
): Value {
  const { flag, block } = outcomes
  const alerts = sum([flag.fraud, flag.genuine, block.fraud, block.genuine]).count
  const alertCostMinor = BigInt(Math.round(alerts * alertMinor))
  const blockedFraudMinor = block.fraud.minor
  return {
    blockedFraudMinor,
    flaggedFraudMinor: flag.fraud.minor,
    flagSavesMinor,
    alertCostMinor,
    wrongBlockCostMinor: wrongBlockMinor,
    savedMinor: blockedFraudMinor + flagSavesMinor - alertCostMinor - wrongBlockMinor,
  }
}

function loadOf({ days }: Tallied, facts: RowFacts, analysts: number | null): AlertLoad {
  let [alerts, maxPerDay, maxDay] = [0, 0, null as number | null]
  for (const { day, flags, blocks } of days) {
    alerts += flags + blocks
    if (flags + blocks <= maxPerDay) continue
    maxPerDay = flags + blocks
    maxDay = day
  }
  const meanPerDay = facts.days.length === 0 ? 0 : alerts / facts.days.length
  return {
    alerts,
    meanPerDay,
    maxPerDay,
    maxDay,
    meanPerAnalystDay: analysts === null ? null : meanPerDay / analysts,
    maxPerAnalystDay: analysts === null ? null : maxPerDay / analysts,
  }
}

function sum(parts: readonly CountAndMoney[]): CountAndMoney {
  return {
    count: parts.reduce((total, { count }) => total + count, 0),
    minor: parts.reduce((total, { minor }) => total + minor, 0n),
  }
}
