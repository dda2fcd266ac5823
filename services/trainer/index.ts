// Public entry of the trainer.

export {
  runTrainer,
  TRAINER_DEFAULTS,
  type TrainSummary,
  type TrainerOptions,
} from './run-trainer.ts'
export { THRESHOLD_RULES, type ThresholdChoice, type ThresholdRule } from './fit/judge-cascade.ts'
export { SEED_FIGURES, SEEDS_MAX } from './metrics.ts'
export { spreadOf } from './statistics.ts'
export { type HistoryEvent, skipText } from './dataset/dataset.ts'
export { readTopicHistory } from './dataset/topic-history.ts'
export {
  evaluateProtocol,
  PROTOCOL_ALERT_COST,
  type Evaluation,
  type EvaluateSummary,
} from './protocol/evaluate.ts'
export { PROTOCOL_NAMES, type ProtocolName } from './protocol/protocols.ts'
export { readOtherScores, readScenarios } from './protocol/csv-inputs.ts'
export { WEEK_FIGURE_NAMES } from './protocol/protocol-figures.ts'
export { SEQUENCE_COLUMNS } from './dataset/evaluation-rows.ts'
export { OPEN_TERMS, OWNED_TERMS, type ReleaseTerms } from './release.ts'
export { TRAINING_BACKENDS, type TrainingBackend } from './net/train-cascade.ts'
