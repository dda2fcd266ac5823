// What `sluice bench features` prints for people.

import type { FeaturesResult, MemoryResult, StoreResult } from './features-bench.ts'
import { count, cpuText } from './figures.ts'

const DECODING_TEXT = { each_batch: 'values decoded for each batch', kept: 'values kept decoded' }

export function featuresLines(result: FeaturesResult): readonly string[] {
  const { options, memory, store, growth, hotCard } = result
  const [first] = memory
  return [
    '',
    `Features and state codec without I/O, one thread, ${count(options.transactions)} transactions of ` +
      `${count(options.cards)} cards (second half measured), layout ${options.layout}, median of ${options.runs}`,
    `  a card holds ${count(first?.heldMedian ?? NaN)} events in the median, ${count(first?.heldMax ?? NaN)} at most`,
    ...memory.map(
      (each) =>
        `  ${each.features.padEnd(9)} ${DECODING_TEXT[each.decoding].padEnd(29)} ` +
        `batches of ${count(each.batchSize).padEnd(5)} ${rateText(each)}; card ${count(each.bytesMedian)} bytes`,
    ),
    ...(store === null ? [] : storeLines(store)),
    '',
    'As the history of one card grows: CPU us per event by payments in the last 30 days, a batch for each event',
    ...lengthLines(growth),
    '',
    'One card with a share of all traffic, batches of 512',
    ...hotCard.map(
      (each) =>
        `  ${each.features.padEnd(9)} ${DECODING_TEXT[each.decoding].padEnd(29)} ` +
        `${(each.share * 100).toFixed(0).padStart(2)} %: ${rateText(each)}`,
    ),
    `  load ${result.loadAverage[0] ?? 0} at the end`,
  ]
}

function rateText({
  eventsPerSecond,
  cpuMicrosecondsPerEvent,
}: Pick<MemoryResult, 'eventsPerSecond' | 'cpuMicrosecondsPerEvent'>): string {
  return `${count(eventsPerSecond).padStart(7)} events/s, CPU ${cpuMicrosecondsPerEvent.toFixed(2)} us/event`
}

function storeLines(store: readonly StoreResult[]): readonly string[] {
  return [
    '',
    'With Redis and no Kafka; each lane waits for its reads and writes, lanes side by side',
    ...store.map(
      (each) =>
        `  ${each.features.padEnd(9)} lanes ${each.lanes}, batches of ${count(each.batchSize).padEnd(5)} ` +
        `${count(each.eventsPerSecond).padStart(7)} events/s; CPU us/event: ` +
        `${cpuText(each.cpuMicrosecondsPerEvent)}; round trips a batch, at most: ` +
        `${each.readsPerBatchMax} read, ${each.writesPerBatchMax} write`,
    ),
  ]
}

function lengthLines(growth: FeaturesResult['growth']): readonly string[] {
  const cases = new Map<string, string[]>()
  for (const each of growth) {
    const name = `${each.features.padEnd(9)} ${DECODING_TEXT[each.decoding].padEnd(29)}`
    const texts = cases.get(name) ?? []
    texts.push(`${count(each.held)}: ${each.cpuMicrosecondsPerEvent.toFixed(1)}`)
    cases.set(name, texts)
  }
  return [...cases].map(([name, texts]) => `  ${name} ${texts.join('   ')}`)
}
