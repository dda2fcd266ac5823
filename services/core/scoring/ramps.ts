// Inputs that tell where a value lies among learnt edges. These ascend, so that all inputs before the value's place are 1 and
// all after it 0: where `out` holds zeros already, nobody looks at the edges beyond.

/** One input each: 1 at or above the step, else 0. Returns the position after them. `out` holds zeros there. Hot path. */
export function writeSteps(
  steps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  const { length } = steps
  for (let step = 0; step < length && value >= (steps[step] ?? Infinity); step += 1) {
    out[position + step] = 1
  }
  return position + length
}

/** Number of inputs that ramps become. */
export function rampInputs(edges: readonly number[]): number {
  return Math.max(0, edges.length - 1)
}

/**
 * Between each two edges one input that rises from 0 to 1. Returns the position after them. Edges may be equal. `out`
 * holds zeros there. Hot path.
 */
export function writeRamps(
  ramps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  const { length } = ramps
  if (length === 0) return position
  let ramp = 1
  for (; ramp < length && value >= (ramps[ramp] ?? Infinity); ramp += 1) {
    out[position + ramp - 1] = 1
  }
  if (ramp < length) {
    const low = ramps[ramp - 1] ?? 0
    if (value > low) out[position + ramp - 1] = (value - low) / ((ramps[ramp] ?? 0) - low)
  }
  return position + length - 1
}
