// Applies a stream as a partition does and as the oracle does, and compares every transaction.

import assert from 'node:assert/strict'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { FEATURE_NAMES } from '../../services/core/features/catalogue/feature-list.ts'
import { FEATURE_STATES } from '../../services/core/features/engine/feature-states.ts'
import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import type { StreamItem } from './feature-streams.ts'
import { foldEntries, openFold, PlainState, type FoldedRow } from './fold-entries.ts'
import { NaiveFeatures, type NaiveReading, type NaiveValue } from './naive-features.ts'

/** Sums in another order, and another formula for a distance: the last digits may differ. */
const TOLERANCE = 1e-9
/** Near a single place the cosine of an angle is imprecise. */
const DISTANCE_TOLERANCE = 1e-6
/** Relative; the sketch's standard error is 18 %. */
const ESTIMATE_TOLERANCE = 0.9

export interface Compared {
  readonly folded: FoldedRow
  readonly naive: NaiveReading
}

/** One partition that is never stored, and the oracle, which is slow: rows before `from` are not compared. */
export function compareStream(items: readonly StreamItem[], from = 0): readonly Compared[] {
  const fold = openFold(PARTITION_START)
  const state = new PlainState()
  const oracle = new NaiveFeatures(DEFAULT_RATES)
  const compared: Compared[] = []
  let labelOffset = 0
  for (const [offset, item] of items.entries()) {
    if (item.kind === 'label') {
      fold.applyLabel(item.label, labelOffset, state)
      oracle.label(0, labelOffset, item.label)
      labelOffset += 1
      continue
    }
    const isCompared = offset >= from
    const naive = oracle.transaction(0, offset, item.transaction, undefined, isCompared)
    const [folded] = foldEntries([], [{ ...item, offset }], labelOffset, fold, state)
    assert.ok(folded !== undefined)
    if (!isCompared) continue
    compareRow(folded, naive)
    compared.push({ folded, naive })
  }
  return compared
}

export function compareRow(folded: FoldedRow, naive: NaiveReading): void {
  compareAnnotations(folded, naive)
  if (naive.duplicateOf !== null) {
    assert.ok(folded.row.every(Number.isNaN), 'a duplicate has no row')
    return
  }
  const isApproximate = folded.annotations.includes('windows_approximate')
  for (const [index, name] of FEATURE_NAMES.entries()) {
    const expected = naive.values.get(name)
    assert.ok(expected !== undefined, `the oracle does not know ${name}`)
    const value = folded.row[index] ?? NaN
    assert.equal(FEATURE_STATES[folded.states[index] ?? 0], expected.state, `state of ${name}`)
    compareValue(name, value, expected)
    const isExact = isNear(expected.value, expected.exact, TOLERANCE) && !expected.isEstimate
    if (!isExact) assert.ok(isApproximate, `${name} is coarse, and not marked`)
  }
}

function compareAnnotations(folded: FoldedRow, naive: NaiveReading): void {
  assert.equal(folded.duplicateOf, naive.duplicateOf, 'duplicate of')
  const isExpired = [...naive.values.values()].some(({ state }) => state === 'expired')
  const expected =
    naive.duplicateOf === null
      ? [
          ...(naive.isRetry ? ['retry'] : []),
          ...(naive.isLate ? ['late'] : []),
          ...(naive.isBehindReach ? ['behind_reach'] : []),
          ...(naive.isAfterWatermark ? ['after_watermark'] : []),
          ...(isExpired ? ['expired'] : []),
        ]
      : ['duplicate']
  assert.deepEqual(
    folded.annotations.filter((mark) => mark !== 'windows_approximate'),
    expected,
  )
}

function compareValue(name: string, value: number, expected: NaiveValue): void {
  const isDistance = name === 'card_speed_kmh' || name === 'card_distance_km'
  const isEqual = expected.isEstimate
    ? isNear(value, expected.value, ESTIMATE_TOLERANCE)
    : isNear(value, expected.value, isDistance ? DISTANCE_TOLERANCE : TOLERANCE)
  assert.ok(isEqual, `${name}: ${value}, expected ${expected.value}, exactly ${expected.exact}`)
}

function isNear(a: number, b: number, tolerance: number): boolean {
  return Object.is(a, b) || Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b))
}
