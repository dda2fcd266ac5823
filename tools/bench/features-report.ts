// What `sluice bench features` prints for people.

import { tableLines } from '../../services/cli/table.ts'
import type { FeaturesResult, MemoryResult, StoreResult } from './features-bench.ts'
import { count, cpuText } from './figures.ts'

const DECODING_TEXT = { each_batch: 'values decoded for each batch', kept: 'values kept decoded' }

export function featuresLines(result: FeaturesResult): readonly string[] {
  const { options, memory, store, growth, hotCard } = result
  const [first] = memory
  return [
    '',
    `Features and state codec without I/O, one thread, ${count(options.transactions)} transactions of ` +
      `${count(options.cards)} cards (second half measured), median of ${options.runs}`,
    `  a card holds ${count(first?.heldMedian ?? NaN)} events in the median, ${count(first?.heldMax ?? NaN)} at most`,
    ...tableLines(
      memory.map((each) => [
        each.features,
        DECODING_TEXT[each.decoding],
        `batches of ${count(each.batchSize)}`,
        ...rateCells(each),
        `card ${count(each.bytesMedian)} bytes`,
      ]),
      { align: 'lllr', indent: '  ' },
    ),
    ...(store === null ? [] : storeLines(store)),
    '',
    'As the history of one card grows: CPU us per event by payments in the last 30 days, a batch for each event',
    ...lengthLines(growth),
    '',
    'One card with a share of all traffic, batches of 512',
    ...tableLines(
      hotCard.map((each) => [
        each.features,
        DECODING_TEXT[each.decoding],
        `${(each.share * 100).toFixed(0)} %`,
        ...rateCells(each),
      ]),
      { align: 'llrr', indent: '  ' },
    ),
    `  load ${result.loadAverage[0] ?? 0} at the end`,
  ]
}

function rateCells({
  eventsPerSecond,
  cpuMicrosecondsPerEvent,
}: Pick<MemoryResult, 'eventsPerSecond' | 'cpuMicrosecondsPerEvent'>): readonly string[] {
  return [
    `${count(eventsPerSecond)} events/s`,
    `CPU ${cpuMicrosecondsPerEvent.toFixed(2)} us/event`,
  ]
}

function storeLines(store: readonly StoreResult[]): readonly string[] {
  return [
    '',
    'With Redis and no Kafka; each partition waits for its reads and writes, partitions side by side',
    ...tableLines(
      store.map((each) => [
        each.features,
        `partitions ${each.partitions}`,
        `batches of ${count(each.batchSize)}`,
        `${count(each.eventsPerSecond)} events/s`,
        `CPU us/event: ${cpuText(each.cpuMicrosecondsPerEvent)}; round trips a batch, at most: ` +
          `${each.readsPerBatchMax} read, ${each.writesPerBatchMax} write`,
      ]),
      { align: 'lllr', indent: '  ' },
    ),
  ]
}

function lengthLines(growth: FeaturesResult['growth']): readonly string[] {
  const cases = new Map<string, string[]>()
  for (const { features, decoding, held, cpuMicrosecondsPerEvent } of growth) {
    const cells = cases.get(features + decoding) ?? [features, DECODING_TEXT[decoding]]
    cells.push(`${count(held)}: ${cpuMicrosecondsPerEvent.toFixed(1)}`)
    cases.set(features + decoding, cells)
  }
  return tableLines([...cases.values()], { indent: '  ' })
}
