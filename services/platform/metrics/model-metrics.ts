// Which models are in service, and what came of the messages that name them.

import { CONTROL_FAULTS, type ControlFault } from '../../core/control/deployment.ts'
import type { ScoringModelInfo } from '../../core/scoring/scoring-model.ts'
import type { MetricMaker } from './process-metrics.ts'

export const MODEL_ROLES = ['active', 'shadow'] as const
export type ModelRole = (typeof MODEL_ROLES)[number]

/** Why a model that was asked for does not serve. */
export const MODEL_REFUSALS = ['not_found', 'corrupt', 'incompatible', 'not_opened'] as const
export type ModelRefusal = (typeof MODEL_REFUSALS)[number]

const CONTROL_RESULTS = ['followed', 'for_others', ...CONTROL_FAULTS] as const

type ServedInfo = Pick<ScoringModelInfo, 'version' | 'digest' | 'agreementAtLeast'>

export interface ModelEvents {
  /** Null: none serves in this role. */
  modelServes(role: ModelRole, model: ServedInfo | null): void
  modelSwitched(role: ModelRole): void
  /** What was asked for serves, or why it does not. */
  modelJudged(role: ModelRole, refusal: ModelRefusal | null): void
  controlRead(result: 'followed' | 'for_others' | ControlFault): void
  /** Whether the control topic is away although it should be followed. */
  controlLost(isLost: boolean): void
}

/** Makes the metrics of models in service. */
export function createModelMetrics(make: MetricMaker): ModelEvents {
  const info = make.gauge(
    'sluice_model_info',
    'Always 1; the labels say which model serves, and in which role.',
    {
      role: MODEL_ROLES.join(', '),
      model_version: 'version in the manifest of the model',
      model_digest: 'first 12 characters of its digest',
    },
  )
  const agreement = make.gauge(
    'sluice_cascade_agreement_at_least',
    'Least share of outcomes that are those of its large net, as the deciding model states; 0 for a model of one net.',
  )
  const switches = make.counter(
    'sluice_model_switches_total',
    'Times another model began to serve, since the start of the process.',
    { role: MODEL_ROLES },
  )
  const refused = make.gauge(
    'sluice_model_refused',
    '1 while a model that the control topic asks for is refused and another one serves, by reason.',
    { role: MODEL_ROLES, reason: MODEL_REFUSALS },
  )
  const control = make.counter(
    'sluice_control_messages_total',
    'Messages of the control topic that were read, by what came of them.',
    { result: CONTROL_RESULTS },
  )
  const lost = make.gauge(
    'sluice_control_lost',
    '1 while the control topic should be followed and cannot be read; an aligned replay follows none.',
  )
  const serving = new Map<ModelRole, Record<'role' | 'model_version' | 'model_digest', string>>()
  return {
    modelServes(role, model) {
      const before = serving.get(role)
      if (before !== undefined) info.remove(before)
      serving.delete(role)
      if (role === 'active') agreement.set(model?.agreementAtLeast ?? 0)
      if (model === null) return
      const labels = {
        role,
        model_version: model.version,
        model_digest: model.digest.slice(0, 12),
      }
      serving.set(role, labels)
      info.set(labels, 1)
    },
    modelSwitched(role) {
      switches.inc({ role })
    },
    modelJudged(role, refusal) {
      for (const reason of MODEL_REFUSALS) {
        refused.set({ role, reason }, reason === refusal ? 1 : 0)
      }
    },
    controlRead(result) {
      control.inc({ result })
    },
    controlLost(isLost) {
      lost.set(isLost ? 1 : 0)
    },
  }
}
