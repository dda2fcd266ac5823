// Seeded random numbers. The same seed gives the same draws on every machine: 32-bit integer arithmetic, and for
// distributions only +, -, * and / on doubles, which IEEE 754 defines to the bit. The language does not define Math.exp
// and Math.log to the bit, so both are computed here. The generator is "small fast counting" with 128 bits of state
// (Chris Doty-Humphrey's sfc32).

const UNIT = 1 / 4_294_967_296
const LN_2 = 0.6931471805599453
const EXPONENTIAL_STEPS = 4_096
const WARM_UP_DRAWS = 12

/** e^x for |x| <= 32, to about 1e-14, with the same bits everywhere. */
export function exactExp(x: number): number {
  const doublings = Math.round(x / LN_2)
  const rest = x - doublings * LN_2
  let term = 1
  let sum = 1
  for (let order = 1; order <= 14; order += 1) {
    term = (term * rest) / order
    sum += term
  }
  for (let step = 0; step < doublings; step += 1) sum *= 2
  for (let step = 0; step > doublings; step -= 1) sum /= 2
  return sum
}

/** Natural logarithm of a number in (0, 1], with the same bits everywhere. */
export function exactLn(x: number): number {
  let mantissa = x
  let halvings = 0
  while (mantissa < 0.75) {
    mantissa *= 2
    halvings += 1
  }
  // ln(m) = 2 artanh((m - 1) / (m + 1)); |ratio| <= 1/7, so 12 odd terms are enough.
  const ratio = (mantissa - 1) / (mantissa + 1)
  const square = ratio * ratio
  let power = ratio
  let sum = 0
  for (let odd = 1; odd <= 23; odd += 2) {
    sum += power / odd
    power *= square
  }
  return 2 * sum - halvings * LN_2
}

// Quantiles of the exponential distribution with mean 1, at the middle of each step.
const exponentialQuantiles = Float64Array.from(
  { length: EXPONENTIAL_STEPS },
  (_, step) => -exactLn(1 - (step + 0.5) / EXPONENTIAL_STEPS),
)

/** A stream of draws. Its state is private, so that no other code can advance it. */
export class Chance {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `stream` separates independent streams of one seed. Both are 32-bit integers. */
  constructor(seed: number, stream: number) {
    this.#a = seed | 0
    this.#b = stream | 0
    this.#c = 0x51_75_1c_e5
    for (let draw = 0; draw < WARM_UP_DRAWS; draw += 1) this.uint32()
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** 0 to 1, 1 excluded. */
  unit(): number {
    return this.uint32() * UNIT
  }

  /** An integer from 0 to count - 1. */
  below(count: number): number {
    return Math.floor(this.uint32() * UNIT * count)
  }

  /** An integer from min to max, both included. */
  integer(min: number, max: number): number {
    return min + this.below(max - min + 1)
  }

  /** True in `share` of the draws. */
  happens(share: number): boolean {
    return this.uint32() * UNIT < share
  }

  /** Exponential with mean 1, at most 9. */
  exponential(): number {
    return exponentialQuantiles[this.uint32() >>> 20] ?? 1
  }

  /** About normal with mean 0 and deviation 1, at most 3.5 from it. */
  normal(): number {
    const first = this.uint32()
    const second = this.uint32()
    const sum = (first >>> 16) + (first & 0xffff) + (second >>> 16) + (second & 0xffff)
    // A sum of four uniform numbers has deviation sqrt(4/12); 1.7320508 undoes that.
    return (sum / 65_536 - 2) * 1.7320508075688772
  }

  /** Log-normal with median 1: e^(spread * normal). */
  factor(spread: number): number {
    return exactExp(spread * this.normal())
  }

  /** One of the entries, with equal probability. */
  pick<Entry>(entries: readonly Entry[]): Entry {
    const entry = entries[this.below(entries.length)]
    if (entry === undefined) throw new RangeError('Nothing to pick from.')
    return entry
  }
}

/** Draws indices with given weights, by binary search in their cumulative sum. */
export class WeightedIndex {
  readonly #sums: Float64Array
  readonly #total: number

  constructor(weights: readonly number[]) {
    let total = 0
    this.#sums = Float64Array.from(weights, (weight) => (total += weight))
    if (!(total > 0)) throw new RangeError('The weights sum to 0.')
    this.#total = total
  }

  draw(chance: Chance): number {
    const target = chance.unit() * this.#total
    let low = 0
    let high = this.#sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#sums[middle] as number) > target) high = middle
      else low = middle + 1
    }
    return low
  }
}
