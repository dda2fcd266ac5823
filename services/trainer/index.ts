// Public entry of the trainer.

export { runTrainer, TRAINER_DEFAULTS } from './run-trainer.ts'
export type { TrainSummary, TrainerOptions } from './run-trainer.ts'
export type { HistoryEvent } from './dataset.ts'
export { readTopicHistory } from './topic-history.ts'
export { evaluateProtocol, PROTOCOL_EPOCHS } from './protocol/evaluate.ts'
export type { EvaluateSummary } from './protocol/evaluate.ts'
export { FIGURE_NAMES } from './protocol/protocol-figures.ts'
export type { WeekScores } from './protocol/run-protocol.ts'
