// Puts models from the control topic into service. It opens and warms a model beside the partitions, then switches, so
// that the next batch of every partition uses it. A model that cannot be opened is refused with an error in the log,
// and the current one keeps serving.

import type { Choice, Deployment } from '../../core/control/deployment.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ModelEvents, ModelRole } from '../../platform/metrics/deployment-metrics.ts'
import { firstOpened, DeploymentController, type Wanted } from './deployment-controller.ts'
import { refusalOf } from './model-opener.ts'
import type { ServedModels } from './served-models.ts'

/** Slot of the shadow model. It takes ownership of the model and closes it. */
export interface ShadowSlot {
  readonly digest: string | null
  set(model: ScoringModel | null): void
}

export interface ModelSwitchDeps {
  /** Opens and warms a model. */
  readonly open: (choice: Choice) => Promise<ScoringModel>
  /** Digest that stands for the configured model. */
  readonly configuredDigest: string
  readonly served: ServedModels
  readonly shadow: ShadowSlot
  /** Called after each switch of the deciding model. */
  readonly onSwitched: () => void
  readonly telemetry: ModelEvents
  readonly log: Logger
}

/** One deployment after the other; of several that wait, only the newest counts. */
export class ModelSwitch implements Closable {
  readonly #deps: ModelSwitchDeps
  readonly #switch: DeploymentController

  constructor(deps: ModelSwitchDeps) {
    this.#deps = deps
    this.#switch = new DeploymentController({
      serve: (role, wanted) =>
        role === 'active' ? this.#serveActive(wanted) : this.#serveShadow(wanted),
      judged: (role, error, wanted) => {
        this.#judged(role, error, wanted)
      },
    })
  }

  /** Requests models. Returns at once. */
  want(deployment: Deployment, position: number): void {
    this.#switch.want(deployment, position)
  }

  /** Resolves when every requested model serves or is refused. */
  settled(): Promise<void> {
    return this.#switch.settled()
  }

  /**
   * Used at the start of a process, before anything is decided. If the model is refused, the last earlier one that can
   * be opened serves instead, or else the configured one.
   */
  async startWith(deployment: Deployment, position: number): Promise<void> {
    this.want(deployment, position)
    await this.settled()
    const { served, configuredDigest, log, open } = this.#deps
    if (digestOf(deployment.active, configuredDigest) === served.current.model.info.digest) return
    const model = await firstOpened(
      deployment.earlier,
      (choice) => choice === configuredDigest,
      open,
    )
    if (model === null) return
    const { version: modelVersion, digest } = model.info
    log.warn({ modelVersion, digest }, 'The previous model serves instead of the refused one.')
    served.replace(model, null)
    this.#deps.onSwitched()
  }

  close(): Promise<void> {
    return this.#switch.close()
  }

  #judged(role: ModelRole, error: unknown, { deployment, position }: Wanted): void {
    const { telemetry, log } = this.#deps
    const reason = error === null ? null : refusalOf(error)
    telemetry.modelJudged(role, reason)
    if (reason === null) return
    const digest = role === 'active' ? deployment.active : deployment.shadow
    log.error({ role, reason, digest, position, error }, 'A model is refused.')
  }

  async #serveActive({ deployment, position }: Wanted): Promise<void> {
    const { served, configuredDigest, onSwitched, telemetry, log } = this.#deps
    if (digestOf(deployment.active, configuredDigest) === served.current.model.info.digest) {
      served.confirm(position)
      return
    }
    const model = await this.#deps.open(deployment.active)
    if (this.#switch.isClosed) {
      model.close()
      return
    }
    served.replace(model, position)
    telemetry.modelSwitched('active')
    onSwitched()
    const { version: modelVersion, digest, backend } = model.info
    log.info({ modelVersion, digest, backend, position }, 'Active model replaced.')
  }

  async #serveShadow({ deployment: { shadow: wanted } }: Wanted): Promise<void> {
    const { shadow, telemetry, log } = this.#deps
    if (wanted === shadow.digest) return
    if (wanted === null) {
      shadow.set(null)
      telemetry.modelServes('shadow', null)
      log.info({}, 'Shadow model removed.')
      return
    }
    const model = await this.#deps.open(wanted)
    if (this.#switch.isClosed) {
      model.close()
      return
    }
    shadow.set(model)
    telemetry.modelSwitched('shadow')
    telemetry.modelServes('shadow', model.info)
    const { version: modelVersion, digest } = model.info
    log.info({ modelVersion, digest }, 'Shadow model replaced.')
  }
}

function digestOf(choice: Choice, configuredDigest: string): string {
  return choice ?? configuredDigest
}
