// Platt's method: a slope and an intercept that turn logits into probabilities, fitted by Newton's method.

import { scoreOf, type Calibration } from '../../core/scoring/scaling.ts'

const STEPS_MAX = 100
const GRADIENT_MIN = 1e-10
const SLOPE_MIN = 1e-3

const IDENTITY: Calibration = { kind: 'identity', slope: 1, intercept: 0 }

/**
 * Fits on validation rows. The target values are moved slightly away from 0 and 1 by the counts of each class, so
 * that a perfect separation does not lead to an infinite slope. Identity when the fit does not converge to a rising
 * curve.
 */
export function fitCalibration(logits: Float64Array, truth: Uint8Array): Calibration {
  let frauds = 0
  for (const label of truth) frauds += label
  const fraudTarget = (frauds + 1) / (frauds + 2)
  const genuineTarget = 1 / (truth.length - frauds + 2)
  let fitted: Calibration = { kind: 'platt', slope: 1, intercept: 0 }
  let loss = lossOf(fitted, logits, truth, fraudTarget, genuineTarget)
  for (let step = 0; step < STEPS_MAX; step += 1) {
    const move = newtonMove(fitted, logits, truth, fraudTarget, genuineTarget)
    if (move === null) break
    let share = 1
    let next = moved(fitted, move, share)
    let nextLoss = lossOf(next, logits, truth, fraudTarget, genuineTarget)
    while (nextLoss > loss && share > 1e-6) {
      share /= 2
      next = moved(fitted, move, share)
      nextLoss = lossOf(next, logits, truth, fraudTarget, genuineTarget)
    }
    if (!(nextLoss <= loss)) break
    fitted = next
    loss = nextLoss
  }
  const isRising = fitted.slope >= SLOPE_MIN && Number.isFinite(fitted.intercept)
  return isRising ? fitted : IDENTITY
}

interface Move {
  readonly slope: number
  readonly intercept: number
}

function moved(from: Calibration, move: Move, share: number): Calibration {
  return {
    kind: 'platt',
    slope: from.slope - share * move.slope,
    intercept: from.intercept - share * move.intercept,
  }
}

function newtonMove(
  at: Calibration,
  logits: Float64Array,
  truth: Uint8Array,
  fraudTarget: number,
  genuineTarget: number,
): Move | null {
  let gradientSlope = 0
  let gradientIntercept = 0
  let curveSlope = 1e-9
  let curveMixed = 0
  let curveIntercept = 1e-9
  for (const [row, logit] of logits.entries()) {
    const probability = scoreOf(logit, at)
    const error = probability - (truth[row] === 1 ? fraudTarget : genuineTarget)
    const weight = probability * (1 - probability)
    gradientSlope += error * logit
    gradientIntercept += error
    curveSlope += weight * logit * logit
    curveMixed += weight * logit
    curveIntercept += weight
  }
  if (Math.abs(gradientSlope) + Math.abs(gradientIntercept) < GRADIENT_MIN * logits.length)
    return null
  const determinant = curveSlope * curveIntercept - curveMixed * curveMixed
  if (!(determinant > 0)) return null
  return {
    slope: (curveIntercept * gradientSlope - curveMixed * gradientIntercept) / determinant,
    intercept: (curveSlope * gradientIntercept - curveMixed * gradientSlope) / determinant,
  }
}

function lossOf(
  at: Calibration,
  logits: Float64Array,
  truth: Uint8Array,
  fraudTarget: number,
  genuineTarget: number,
): number {
  let loss = 0
  for (const [row, logit] of logits.entries()) {
    const target = truth[row] === 1 ? fraudTarget : genuineTarget
    const value = at.slope * logit + at.intercept
    // -target log p - (1 - target) log(1 - p), with p = 1 / (1 + exp(-value)).
    loss += Math.max(0, value) - target * value + Math.log1p(Math.exp(-Math.abs(value)))
  }
  return loss
}
