// Public entry of the lake: filling it from Kafka, asking it, keeping it in order.

export { loadLakeConfig } from './config.ts'
export { readLakeHistory } from './history.ts'
export { INGEST_DEFAULTS, ingest } from './ingest.ts'
export type { FlushReport } from './flush.ts'
export { queryLake } from './query.ts'
export type { QueryAnswer } from './query.ts'
export type { PlainValue } from './plain-value.ts'
export { COMPACTION_DEFAULTS, compactLake } from './compact.ts'
export { checkLake, keepResults } from './check-lake.ts'
export type { LakeReport } from './check-lake.ts'
export { importFiles } from './import-files.ts'
