// The models and policies of one scorer process: the configured model, which is opened first; its replacements from the
// control topic; and the shadows.

import { join } from 'node:path'
import { isFallback, refusedBackends, type ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { RateTable } from '../../core/rates/rate-table.ts'
import { closeAll, type Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ScorerTelemetry } from '../../platform/metrics/scorer-telemetry.ts'
import { openRuleset } from '../../platform/policy-store.ts'
import { openStores } from '../../platform/stores/stores.ts'
import { findRates } from '../../platform/rate-store.ts'
import { repositoryRoot } from '../../platform/repository-root.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import type { ScorerConfig } from '../config.ts'
import { ControlFollower, type ControlFollowerOptions } from './control-follower.ts'
import type { DecidedBatch } from '../batch/micro-batch.ts'
import { policyOf, type Policy } from './policy.ts'
import { PolicyShadow } from './policy-shadow.ts'
import { PolicySwitch } from './policy-switch.ts'
import { RatesSwitch } from './rates-switch.ts'
import { openModelByChoice, type ModelSources } from './model-opener.ts'
import { keepModel } from './keep-model.ts'
import { ModelSwitch } from './model-switch.ts'
import { DriftMonitor } from './drift-monitor.ts'
import { ServedModels, type HeldModel, type Serving } from './served-models.ts'
import { ShadowScorer } from './shadow-scorer.ts'

export class ScorerModels implements Closable {
  readonly #config: ScorerConfig
  readonly #log: Logger
  readonly #telemetry: ScorerTelemetry
  readonly #served: ServedModels
  readonly #shadow: ShadowScorer
  readonly #trainingDistribution: DriftMonitor
  readonly #switch: ModelSwitch
  readonly #policyShadow: PolicyShadow
  readonly #policySwitch: PolicySwitch
  readonly #ratesSwitch: RatesSwitch
  /** Closed in reverse order. */
  readonly #opened: Closable[]

  constructor(
    config: ScorerConfig,
    configured: ScoringModel,
    log: Logger,
    telemetry: ScorerTelemetry,
  ) {
    this.#ratesSwitch = new RatesSwitch({
      configured: config.rates,
      open: (digest) => findRates(openStores(config.stores, () => config).policies, digest),
      telemetry,
      log,
    })
    this.#config = config
    this.#log = log
    this.#telemetry = telemetry
    this.#served = new ServedModels(configured, (model) => policyOf(config, null, model))
    this.#shadow = new ShadowScorer({ telemetry, log })
    this.#policyShadow = new PolicyShadow({ telemetry, log })
    this.#trainingDistribution = new DriftMonitor(telemetry)
    const { models: store, policies } = openStores(config.stores, () => config)
    const sources: ModelSources = {
      configuredFolder: configuredFolder(config),
      configuredDigest: configured.info.digest,
      store,
      backend: config.backend,
      referenceCurrency: config.rates.reference,
    }
    this.#switch = new ModelSwitch({
      open: (choice) => openModelByChoice(choice, this.current.model.info.backend, sources),
      configuredDigest: configured.info.digest,
      served: this.#served,
      shadow: this.#shadow,
      onSwitched: () => {
        this.#switched()
      },
      telemetry,
      log,
    })
    this.#policySwitch = new PolicySwitch({
      open: (digest) => openRuleset(policies, digest),
      serve: (ruleset, position) => {
        this.#served.replacePolicy((model) => policyOf(config, ruleset, model), position)
        telemetry.policyFailuresEnd()
        this.#switched()
      },
      confirm: (position) => {
        this.#served.confirmPolicy(position)
      },
      shadow: this.#policyShadow,
      telemetry,
      log,
    })
    this.#opened = [
      ...[this.#served, this.#shadow, this.#policyShadow, this.#trainingDistribution],
      ...[this.#switch, this.#policySwitch, this.#ratesSwitch],
    ]
    this.#tell()
  }

  get current(): Serving {
    return this.#served.current
  }

  /** The rate table in force. */
  get rates(): RateTable {
    return this.#ratesSwitch.current.rates
  }

  /** The model and the rates of the batch that begins now. */
  take(): HeldModel & { readonly rates: RateTable } {
    const { rates, position } = this.#ratesSwitch.current
    const held = this.#served.take()
    return { ...held, rates, controlPosition: newest(held.controlPosition, position) }
  }

  /** True when the shadow model reads the payments before each row. */
  get keepsSequences(): boolean {
    return this.#shadow.keepsSequences
  }

  /** Passes a committed batch to the shadows and to the drift monitor. Never waits. */
  committed(decided: DecidedBatch, policy: Policy): void {
    this.#shadow.offer(decided, policy.policy)
    this.#policyShadow.offer(decided, policy.thresholds)
    this.#trainingDistribution.count(decided)
  }

  /**
   * Puts into service the deployments that the control topic names, and follows it from then on. An aligned replay does
   * not read it, since it decides from the log of transactions alone.
   */
  async followControl(options: ControlFollowerOptions): Promise<void> {
    if (this.#config.alignment === 'aligned') {
      this.#log.info(
        {},
        'An aligned replay follows no control messages: the configured model and policy decide.',
      )
      return
    }
    const follower = new ControlFollower(options)
    const inForce = await follower.readInForce()
    const switches = {
      model: this.#switch,
      policy: this.#policySwitch,
      rates: this.#ratesSwitch,
    } as const
    for (const { about, deployment, position } of inForce.values()) {
      await switches[about].startWith(deployment, position)
    }
    follower.start(({ about, deployment, position }) => {
      switches[about].want(deployment, position)
    })
    this.#opened.push(follower)
  }

  /** P7: a fallback is reported in the log, the metrics and the readiness answer. */
  get fallback() {
    const { info } = this.current.model
    const { backendExpected } = this.#config
    return {
      backendExpected,
      isOnFallback: isFallback(backendExpected, info),
      refused: refusedBackends(info.trials),
    }
  }

  close(): Promise<void> {
    return closeAll(this.#opened)
  }

  /** Shadow results for the last model or policy do not apply to the next one. */
  #switched(): void {
    this.#shadow.forget()
    this.#policyShadow.forget()
    this.#tell()
  }

  /** Reports the active model and policy in metrics and log. */
  #tell(): void {
    const { model, policy } = this.current
    const telemetry = this.#telemetry
    telemetry.backendChosen(model.info.backend, model.info.version)
    telemetry.modelServes('active', model.info)
    this.#trainingDistribution.begin(model.info)
    telemetry.policyInForce(policy.digest, policy.mode)
    const { backendExpected, isOnFallback, refused } = this.fallback
    telemetry.fallbackJudged(isOnFallback, refused)
    if (!isOnFallback) return
    this.#log.warn(
      { backend: model.info.backend, expected: backendExpected, refused },
      'Scoring runs on a fallback backend.',
    )
  }
}

/** Opens the configured model. Its errors stop a scorer before Kafka is asked. */
export async function openConfiguredModel(
  config: ScorerConfig,
  log: Logger,
): Promise<ScoringModel> {
  const model = await openScoringModel({
    folder: configuredFolder(config),
    backend: config.backend,
    referenceCurrency: config.rates.reference,
    thread: config.scoringThread,
  })
  log.info({ ...model.info, baseline: undefined, trainingDistribution: undefined }, 'Model loaded.')
  // The released model stays in the installation, which may be read-only, so it is not copied.
  if (config.hasModelStore || config.modelFolder !== null) {
    const { models } = openStores(config.stores, () => config)
    await keepModel(models, configuredFolder(config), model.info.digest, log)
  }
  return model
}

function newest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b)
}

function configuredFolder({ modelFolder }: ScorerConfig): string {
  return modelFolder ?? join(repositoryRoot(), 'models/simulator')
}
