// A logistic regression over few columns, by Newton's method: the second stage of the isolation study.

const STEPS = 50
/** Keeps the weights finite when a column carries no information. */
const RIDGE = 1e-6

/** Values of one row's columns. */
type Inputs = readonly number[]

/** Weights of an intercept and of each column; their sum over a row is its logit. */
export function fitLogistic(rows: readonly Inputs[], truth: Uint8Array): readonly number[] {
  const width = (rows[0]?.length ?? 0) + 1
  let weights = new Array<number>(width).fill(0)
  for (let step = 0; step < STEPS; step += 1) {
    const gradient = weights.map((weight): number => RIDGE * weight)
    const curve = weights.map((_, at) =>
      weights.map((_, other): number => (at === other ? RIDGE : 0)),
    )
    for (const [row, inputs] of rows.entries()) {
      const probability = 1 / (1 + Math.exp(-logitOf(weights, inputs)))
      const error = probability - (truth[row] ?? 0)
      const spread = probability * (1 - probability)
      for (let at = 0; at < width; at += 1) {
        const value = inputAt(inputs, at)
        gradient[at] = (gradient[at] ?? 0) + error * value
        const line = curve[at] ?? []
        for (let other = 0; other < width; other += 1) {
          line[other] = (line[other] ?? 0) + spread * value * inputAt(inputs, other)
        }
      }
    }
    const move = solve(curve, gradient)
    weights = weights.map((weight, at) => weight - (move[at] ?? 0))
    if (move.every((each) => Math.abs(each) < 1e-9)) return weights
  }
  throw new Error(`The second stage did not settle in ${STEPS} steps.`)
}

/** The logit of a row. */
export function logitOf(weights: readonly number[], inputs: Inputs): number {
  return weights.reduce((sum, weight, at) => sum + weight * inputAt(inputs, at), 0)
}

function inputAt(inputs: Inputs, at: number): number {
  return at === 0 ? 1 : (inputs[at - 1] ?? 0)
}

/** Gaussian elimination; the matrix is positive definite, so no rows need to be swapped. */
function solve(curve: readonly (readonly number[])[], gradient: readonly number[]): number[] {
  const lines = curve.map((line, at) => [...line, gradient[at] ?? 0])
  for (const [at, pivot] of lines.entries()) {
    const divisor = pivot[at] ?? 1
    for (const [other, line] of lines.entries()) {
      if (other === at) continue
      const share = (line[at] ?? 0) / divisor
      for (const [column, value] of pivot.entries()) {
        line[column] = (line[column] ?? 0) - share * value
      }
    }
  }
  return lines.map((line, at) => (line.at(-1) ?? 0) / (line[at] ?? 1))
}
