// Public entry of the trainer.

export { runTrainer, TRAINER_DEFAULTS } from './run-trainer.ts'
export type { TrainSummary, TrainerOptions } from './run-trainer.ts'
export type { HistoryEvent } from './dataset.ts'
export { readTopicHistory } from './topic-history.ts'
export { OPEN_TERMS, OWNED_TERMS } from './openness/release-terms.ts'
export type { ReleaseTerms } from './openness/release-terms.ts'
export { skipText } from './history-facts.ts'
export { verifyModelFolder } from './openness/verify-folder.ts'
export type { Verification } from './openness/verify-folder.ts'
