// Scores rows with a net whose first layer is a sum of table vectors (docs/adr/0037). AssemblyScript, compiled by
// `npm run kernel` to net-kernel.wasm. The host lays out all memory (net-image.ts); nothing is allocated here. A row is
// computed by itself and in one order, so it gets the same bits in any batch.
//
// Records by byte offset. Addresses are u32, and 0 means none. Vectors are f32, padded with zeros to whole BLOCK_BYTES.
//
// ladder   0 first edge (f64, padded to pairs with infinity), 4 end of the edges, 8 segments, one more than edges
// segment  0 low f64, 8 1 / width f64, 16 base vector, 20 slope vector
// codes    0 index of the feature that holds the code, 4 codes (f64), 8 their end, 12 ladders, the last for other codes
// feature  0 center f64, 8 1 / scale f64, 16 clip f64, 24 absent value f64, 32 ladder, 44 vector of the logarithm,
//          48 vector when absent (none: never absent), 52 codes
// layer    0 inputs, 4 weights, 8 bias, 12 bytes of a row of weights, 16 least output f32
// stack    0 start vector, 4 its bytes, 8 output of the first layer, 12 its least output f32, 16 members, 20 bytes of
//          a member's part, 24 further layers, those of a member together, 28 how many a member has, 32 and 36 their
//          outputs in turn, 40 list of vectors, 44 list of vectors with factors
// net      0 stack, 4 features, 8 how many, 12 events
// events   0 stack, 4 five ladders, 8 codes, 12 categories (f64), 16 their end, 20 addresses of their vectors,
//          24 start vectors: of the same day, of the day before, of earlier days, of no event; 40 bytes of a member's
//          outputs, 44 sums, 48 maxima, 52 outputs for no event, 56 bytes of these, 60 a layer of means and one of
//          maxima for each member

/** Gives the same bits as the host, whose edges are logarithms too. */
declare function log1p(value: f64): f64

const FEATURE_BYTES: usize = 64
const SEGMENT_BYTES: usize = 24
const LADDER_BYTES: usize = 16
const LAYER_BYTES: usize = 32

/** Bytes of a vector summed at a time, in eight registers. */
const BLOCK_BYTES: usize = 128

/**
 * Vectors summed before their sum is added to the total: a single sum of all 130 would lose twice as many of the 24
 * binary digits, at the same cost.
 */
const GROUP: usize = 12

const EVENTS_MAX: usize = 16
const EVENT_BYTES: usize = 32
const SEQUENCE_BYTES: usize = 512
const HOUR_MS: f64 = 3600000
const DAY_MS: f64 = 86400000

/** Next free entries of the lists: vectors to add, and pairs of a vector and its factor. */
let nextVector: usize = 0
let nextFactor: usize = 0

/** Scores `count` rows: logits, NaN for a row that the model does not accept. */
export function scoreRows(net: usize, rows: usize, count: u32, logits: usize): void {
  const rowBytes = load<usize>(net, 8) << 3
  const start = load<usize>(load<usize>(net))
  for (let row: u32 = 0; row < count; row++) {
    store<f32>(logits, rowLogit(net, rows, start))
    rows += rowBytes
    logits += 4
  }
}

/** As scoreRows, with the sequence and amount of each row by its index in `sequenceOf` (u32). */
export function scoreSequences(
  net: usize,
  rows: usize,
  count: u32,
  sequenceOf: usize,
  sequences: usize,
  amounts: usize,
  logits: usize,
): void {
  const rowBytes = load<usize>(net, 8) << 3
  const start = load<usize>(load<usize>(net))
  let pooled: usize = -1
  for (let row: u32 = 0; row < count; row++) {
    const sequence = load<usize>(sequenceOf)
    if (sequence != pooled) {
      pooled = sequence
      const first = sequences + sequence * SEQUENCE_BYTES
      poolEvents(net, first, load<f64>(amounts + (sequence << 3)))
    }
    store<f32>(logits, rowLogit(net, rows, start))
    rows += rowBytes
    sequenceOf += 4
    logits += 4
  }
}

/** Computes the contribution of a position without an event. Called once, before any sequence is scored. */
export function prepareEvents(net: usize): void {
  const events = load<usize>(net, 12)
  const stack = load<usize>(events)
  startLists(stack)
  sumFirstLayer(stack, load<usize>(events, 36))
  const memberBytes = load<usize>(events, 40)
  let out = load<usize>(events, 52)
  for (let member: usize = 0; member < load<usize>(stack, 16); member++) {
    memory.copy(out, runMember(stack, member), memberBytes)
    out += memberBytes
  }
}

function rowLogit(net: usize, row: usize, start: usize): f32 {
  const stack = load<usize>(net)
  startLists(stack)
  if (!listRow(net, row)) return f32.NaN
  sumFirstLayer(stack, start)
  const members = load<usize>(stack, 16)
  let sum: f32 = 0
  for (let member: usize = 0; member < members; member++) sum += load<f32>(runMember(stack, member))
  return sum / <f32>members
}

function startLists(stack: usize): void {
  nextVector = load<usize>(stack, 40)
  nextFactor = load<usize>(stack, 44)
}

function addVector(vector: usize): void {
  store<usize>(nextVector, vector)
  nextVector += 4
}

function addScaled(vector: usize, factor: f32): void {
  store<usize>(nextFactor, vector)
  store<f32>(nextFactor, factor, 4)
  nextFactor += 8
}

/** Lists the vectors of a row. False when a value is not accepted. */
function listRow(net: usize, row: usize): bool {
  let feature = load<usize>(net, 4)
  const end = row + (load<usize>(net, 8) << 3)
  for (let at = row; at < end; at += 8) {
    let value = load<f64>(at)
    if (value != value) {
      const absent = load<usize>(feature, 48)
      if (absent == 0) return false
      addVector(absent)
      value = load<f64>(feature, 24)
    } else {
      if (Math.abs(value) == Infinity) return false
      if (load<usize>(feature, 40) != 0) addLadder(feature + 32, value)
      const vector = load<usize>(feature, 44)
      if (vector != 0) addScaled(vector, <f32>logInput(feature, value))
    }
    const codes = load<usize>(feature, 52)
    if (codes != 0) addByCode(codes, load<f64>(row + (load<usize>(codes) << 3)), value)
    feature += FEATURE_BYTES
  }
  return true
}

function logInput(feature: usize, value: f64): f64 {
  const power = value < 0 ? -Math.log1p(-value) : Math.log1p(value)
  const scaled = (power - load<f64>(feature)) * load<f64>(feature, 8)
  const clip = load<f64>(feature, 16)
  return scaled > clip ? clip : scaled < -clip ? -clip : scaled
}

/** Lists base + t x slope of the segment that contains the value. */
function addLadder(ladder: usize, value: f64): void {
  const x = f64x2.splat(value)
  const end = load<usize>(ladder, 4)
  let passed = i64x2.splat(0)
  for (let edge = load<usize>(ladder); edge < end; edge += 16) {
    passed = i64x2.sub(passed, f64x2.ge(x, v128.load(edge)))
  }
  const index = <usize>(i64x2.extract_lane(passed, 0) + i64x2.extract_lane(passed, 1))
  const segment = load<usize>(ladder, 8) + index * SEGMENT_BYTES
  const base = load<usize>(segment, 16)
  store<usize>(nextVector, base)
  nextVector += select<usize>(4, 0, base != 0)
  const slope = load<usize>(segment, 20)
  const t = <f32>((value - load<f64>(segment)) * load<f64>(segment, 8))
  store<usize>(nextFactor, slope)
  store<f32>(nextFactor, t, 4)
  nextFactor += select<usize>(8, 0, slope != 0)
}

function addByCode(codes: usize, code: f64, value: f64): void {
  let ladder = load<usize>(codes, 12)
  const end = load<usize>(codes, 8)
  for (let at = load<usize>(codes, 4); at < end && load<f64>(at) != code; at += 8) {
    ladder += LADDER_BYTES
  }
  addLadder(ladder, value)
}

/** Output of the first layer: start plus everything in the lists. */
function sumFirstLayer(stack: usize, start: usize): void {
  const bytes = load<usize>(stack, 4)
  const out = load<usize>(stack, 8)
  const least = load<f32>(stack, 12)
  const vectors = load<usize>(stack, 40)
  const factors = load<usize>(stack, 44)
  for (let at: usize = 0; at < bytes; at += BLOCK_BYTES) {
    sumBlock(start, at, out, least, vectors, factors)
  }
}

function sumBlock(
  start: usize,
  shift: usize,
  out: usize,
  least: f32,
  vectors: usize,
  factors: usize,
): void {
  let p = start + shift
  out += shift
  let h0 = v128.load(p)
  let h1 = v128.load(p, 16)
  let h2 = v128.load(p, 32)
  let h3 = v128.load(p, 48)
  let h4 = v128.load(p, 64)
  let h5 = v128.load(p, 80)
  let h6 = v128.load(p, 96)
  let h7 = v128.load(p, 112)
  while (vectors < nextVector) {
    v128.store(out, h0)
    v128.store(out, h1, 16)
    v128.store(out, h2, 32)
    v128.store(out, h3, 48)
    v128.store(out, h4, 64)
    v128.store(out, h5, 80)
    v128.store(out, h6, 96)
    v128.store(out, h7, 112)
    h0 = f32x4.splat(0)
    h1 = f32x4.splat(0)
    h2 = f32x4.splat(0)
    h3 = f32x4.splat(0)
    h4 = f32x4.splat(0)
    h5 = f32x4.splat(0)
    h6 = f32x4.splat(0)
    h7 = f32x4.splat(0)
    const end = min(nextVector, vectors + 4 * GROUP)
    for (; vectors < end; vectors += 4) {
      p = load<usize>(vectors) + shift
      h0 = f32x4.add(h0, v128.load(p))
      h1 = f32x4.add(h1, v128.load(p, 16))
      h2 = f32x4.add(h2, v128.load(p, 32))
      h3 = f32x4.add(h3, v128.load(p, 48))
      h4 = f32x4.add(h4, v128.load(p, 64))
      h5 = f32x4.add(h5, v128.load(p, 80))
      h6 = f32x4.add(h6, v128.load(p, 96))
      h7 = f32x4.add(h7, v128.load(p, 112))
    }
    h0 = f32x4.add(h0, v128.load(out))
    h1 = f32x4.add(h1, v128.load(out, 16))
    h2 = f32x4.add(h2, v128.load(out, 32))
    h3 = f32x4.add(h3, v128.load(out, 48))
    h4 = f32x4.add(h4, v128.load(out, 64))
    h5 = f32x4.add(h5, v128.load(out, 80))
    h6 = f32x4.add(h6, v128.load(out, 96))
    h7 = f32x4.add(h7, v128.load(out, 112))
  }
  while (factors < nextFactor) {
    v128.store(out, h0)
    v128.store(out, h1, 16)
    v128.store(out, h2, 32)
    v128.store(out, h3, 48)
    v128.store(out, h4, 64)
    v128.store(out, h5, 80)
    v128.store(out, h6, 96)
    v128.store(out, h7, 112)
    h0 = f32x4.splat(0)
    h1 = f32x4.splat(0)
    h2 = f32x4.splat(0)
    h3 = f32x4.splat(0)
    h4 = f32x4.splat(0)
    h5 = f32x4.splat(0)
    h6 = f32x4.splat(0)
    h7 = f32x4.splat(0)
    const end = min(nextFactor, factors + 8 * GROUP)
    for (; factors < end; factors += 8) {
      p = load<usize>(factors) + shift
      const t = v128.load32_splat(factors, 4)
      h0 = f32x4.add(h0, f32x4.mul(t, v128.load(p)))
      h1 = f32x4.add(h1, f32x4.mul(t, v128.load(p, 16)))
      h2 = f32x4.add(h2, f32x4.mul(t, v128.load(p, 32)))
      h3 = f32x4.add(h3, f32x4.mul(t, v128.load(p, 48)))
      h4 = f32x4.add(h4, f32x4.mul(t, v128.load(p, 64)))
      h5 = f32x4.add(h5, f32x4.mul(t, v128.load(p, 80)))
      h6 = f32x4.add(h6, f32x4.mul(t, v128.load(p, 96)))
      h7 = f32x4.add(h7, f32x4.mul(t, v128.load(p, 112)))
    }
    h0 = f32x4.add(h0, v128.load(out))
    h1 = f32x4.add(h1, v128.load(out, 16))
    h2 = f32x4.add(h2, v128.load(out, 32))
    h3 = f32x4.add(h3, v128.load(out, 48))
    h4 = f32x4.add(h4, v128.load(out, 64))
    h5 = f32x4.add(h5, v128.load(out, 80))
    h6 = f32x4.add(h6, v128.load(out, 96))
    h7 = f32x4.add(h7, v128.load(out, 112))
  }
  const floor = f32x4.splat(least)
  v128.store(out, f32x4.pmax(h0, floor))
  v128.store(out, f32x4.pmax(h1, floor), 16)
  v128.store(out, f32x4.pmax(h2, floor), 32)
  v128.store(out, f32x4.pmax(h3, floor), 48)
  v128.store(out, f32x4.pmax(h4, floor), 64)
  v128.store(out, f32x4.pmax(h5, floor), 80)
  v128.store(out, f32x4.pmax(h6, floor), 96)
  v128.store(out, f32x4.pmax(h7, floor), 112)
}

/** Address of the last layer's outputs. */
function runMember(stack: usize, member: usize): usize {
  let input = load<usize>(stack, 8) + member * load<usize>(stack, 20)
  const count = load<usize>(stack, 28)
  let layer = load<usize>(stack, 24) + member * count * LAYER_BYTES
  let out = load<usize>(stack, 32)
  let other = load<usize>(stack, 36)
  for (let at: usize = 0; at < count; at++) {
    runLayer(layer, input, load<usize>(layer, 8), out)
    layer += LAYER_BYTES
    input = out
    out = other
    other = input
  }
  return input
}

/** `bias` and `out` may be the same. */
function runLayer(layer: usize, input: usize, bias: usize, out: usize): void {
  const end = input + (load<usize>(layer) << 2)
  const rowBytes = load<usize>(layer, 12)
  let weights = load<usize>(layer, 4)
  const weightsEnd = weights + rowBytes
  const floor = f32x4.splat(load<f32>(layer, 16))
  for (; weights < weightsEnd; weights += BLOCK_BYTES) {
    let h0 = v128.load(bias)
    let h1 = v128.load(bias, 16)
    let h2 = v128.load(bias, 32)
    let h3 = v128.load(bias, 48)
    let h4 = v128.load(bias, 64)
    let h5 = v128.load(bias, 80)
    let h6 = v128.load(bias, 96)
    let h7 = v128.load(bias, 112)
    let p = weights
    for (let at = input; at < end; at += 4) {
      const t = v128.load32_splat(at)
      h0 = f32x4.add(h0, f32x4.mul(t, v128.load(p)))
      h1 = f32x4.add(h1, f32x4.mul(t, v128.load(p, 16)))
      h2 = f32x4.add(h2, f32x4.mul(t, v128.load(p, 32)))
      h3 = f32x4.add(h3, f32x4.mul(t, v128.load(p, 48)))
      h4 = f32x4.add(h4, f32x4.mul(t, v128.load(p, 64)))
      h5 = f32x4.add(h5, f32x4.mul(t, v128.load(p, 80)))
      h6 = f32x4.add(h6, f32x4.mul(t, v128.load(p, 96)))
      h7 = f32x4.add(h7, f32x4.mul(t, v128.load(p, 112)))
      p += rowBytes
    }
    v128.store(out, f32x4.pmax(h0, floor))
    v128.store(out, f32x4.pmax(h1, floor), 16)
    v128.store(out, f32x4.pmax(h2, floor), 32)
    v128.store(out, f32x4.pmax(h3, floor), 48)
    v128.store(out, f32x4.pmax(h4, floor), 64)
    v128.store(out, f32x4.pmax(h5, floor), 80)
    v128.store(out, f32x4.pmax(h6, floor), 96)
    v128.store(out, f32x4.pmax(h7, floor), 112)
    bias += BLOCK_BYTES
    out += BLOCK_BYTES
  }
}

/**
 * Start vector of the rows of a sequence: the bias, and the mean and maximum over its events multiplied by their
 * weights.
 */
function poolEvents(net: usize, sequence: usize, ownAmount: f64): void {
  const events = load<usize>(net, 12)
  const stack = load<usize>(events)
  const count = countEvents(sequence)
  const middle = count == 0 ? 0 : log1p(upperMedian(sequence, count))
  const own = log1p(ownAmount)
  const bytes = load<usize>(events, 56)
  const sums = load<usize>(events, 44)
  const maxima = load<usize>(events, 48)
  fill(sums, bytes, 0)
  fill(maxima, bytes, -f32.MAX_VALUE)
  for (let event: usize = 0; event < count; event++) {
    startLists(stack)
    sumFirstLayer(stack, listEvent(events, sequence + event * EVENT_BYTES, own, middle))
    const memberBytes = load<usize>(events, 40)
    let offset: usize = 0
    for (let member: usize = 0; offset < bytes; member++) {
      pool(sums + offset, maxima + offset, runMember(stack, member), memberBytes, 1)
      offset += memberBytes
    }
  }
  const absent = <f32>(EVENTS_MAX - count)
  if (absent > 0) pool(sums, maxima, load<usize>(events, 52), bytes, absent)
  for (let at = sums; at < sums + bytes; at += 16) {
    v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(1 / <f32>EVENTS_MAX)))
  }
  addPooled(net, events, sums, maxima)
}

function addPooled(net: usize, events: usize, means: usize, maxima: usize): void {
  const stack = load<usize>(net)
  const members = load<usize>(stack, 16)
  const memberBytes = load<usize>(events, 40)
  let layer = load<usize>(events, 60)
  let start = load<usize>(stack)
  for (let member: usize = 0; member < members; member++) {
    runLayer(layer, means, load<usize>(layer, 8), start)
    runLayer(layer + LAYER_BYTES, maxima, start, start)
    layer += 2 * LAYER_BYTES
    start += load<usize>(stack, 20)
    means += memberBytes
    maxima += memberBytes
  }
}

function fill(at: usize, bytes: usize, value: f32): void {
  for (const end = at + bytes; at < end; at += 16) v128.store(at, f32x4.splat(value))
}

/** Adds values for `times` events. */
function pool(sums: usize, maxima: usize, values: usize, bytes: usize, times: f32): void {
  for (let at: usize = 0; at < bytes; at += 16) {
    const value = v128.load(values + at)
    v128.store(sums + at, f32x4.add(v128.load(sums + at), f32x4.mul(f32x4.splat(times), value)))
    v128.store(maxima + at, f32x4.pmax(v128.load(maxima + at), value))
  }
}

/** Number of events before the first absent one. */
function countEvents(sequence: usize): usize {
  let count: usize = 0
  while (count < EVENTS_MAX) {
    const amount = load<f64>(sequence + count * EVENT_BYTES)
    if (amount != amount) break
    count++
  }
  return count
}

/** The median amount; of two in the middle, the upper one. */
function upperMedian(sequence: usize, count: usize): f64 {
  const middle = count >> 1
  for (let at: usize = 0; at < count; at++) {
    const amount = load<f64>(sequence + at * EVENT_BYTES)
    let below: usize = 0
    for (let other: usize = 0; other < count; other++) {
      const each = load<f64>(sequence + other * EVENT_BYTES)
      if (each < amount || (each == amount && other < at)) below++
    }
    if (below == middle) return amount
  }
  return f64.NaN
}

/** Lists the vectors of an event. Returns its start vector, which encodes its presence and its day. */
function listEvent(events: usize, event: usize, own: f64, middle: f64): usize {
  const amount = log1p(load<f64>(event))
  const ageMs = load<f64>(event, 8)
  const timeOfDayMs = load<f64>(event, 16)
  const category = load<f64>(event, 24)
  const ladders = load<usize>(events, 4)
  addLadder(ladders, own - amount)
  addLadder(ladders + LADDER_BYTES, amount - middle)
  addLadder(ladders + 2 * LADDER_BYTES, amount)
  addLadder(ladders + 3 * LADDER_BYTES, log1p(ageMs / 1000))
  addLadder(ladders + 4 * LADDER_BYTES, timeOfDayMs / HOUR_MS)
  const codes = load<usize>(events, 8)
  if (codes != 0) addByCode(codes, category, amount)
  const categoriesEnd = load<usize>(events, 16)
  let vector = load<usize>(events, 20)
  for (let at = load<usize>(events, 12); at < categoriesEnd; at += 8) {
    if (load<f64>(at) == category) {
      addVector(load<usize>(vector))
      break
    }
    vector += 4
  }
  const daysBefore = Math.floor((timeOfDayMs + ageMs) / DAY_MS)
  if (daysBefore == 0) return load<usize>(events, 24)
  return daysBefore == 1 ? load<usize>(events, 28) : load<usize>(events, 32)
}
