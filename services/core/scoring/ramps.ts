// Inputs that tell where a value lies among learnt edges.

/** One input each: 1 at or above the step, else 0. Returns the position after them. */
export function writeSteps(
  steps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  for (let step = 0; step < steps.length; step += 1) {
    out[position + step] = value >= (steps[step] ?? Infinity) ? 1 : 0
  }
  return position + steps.length
}

/** Number of inputs that ramps become. */
export function rampInputs(edges: readonly number[]): number {
  return Math.max(0, edges.length - 1)
}

/** Between each two edges one input that rises from 0 to 1. Returns the position after them. */
export function writeRamps(
  ramps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  let at = position
  for (let ramp = 1; ramp < ramps.length; ramp += 1) {
    const low = ramps[ramp - 1] ?? 0
    const high = ramps[ramp] ?? 0
    out[at++] = value >= high ? 1 : value <= low ? 0 : (value - low) / (high - low)
  }
  return at
}
