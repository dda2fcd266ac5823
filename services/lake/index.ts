// Public entry of the lake: filling it from Kafka, asking it, keeping it in order.

export { loadLakeConfig } from './config.ts'
export type { LakeConfig } from './config.ts'
export { readLakeHistory } from './history.ts'
export type { LakeHistoryOptions } from './history.ts'
export { INGEST_DEFAULTS, ingest } from './ingest.ts'
export type { IngestSummary } from './ingest.ts'
export type { FlushReport } from './flush.ts'
export { queryLake } from './query.ts'
export type { QueryAnswer } from './query.ts'
export type { PlainValue } from './plain-value.ts'
