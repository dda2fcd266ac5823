// The stream and the model store that a command reads or changes.

import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import {
  type Deployment,
  NO_DEPLOYMENT,
  controlOf,
  isDigest,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'
import { systemClock } from '../../platform/clock.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import {
  type ControlAccess,
  publishControl,
  readDeployment,
} from '../../platform/kafka/control-topic.ts'
import type { ModelStore } from '../../platform/model-store.ts'
import { openStores, readStoreSettings, type Stores } from '../../platform/stores/stores.ts'
import { openScoringModel } from '../../platform/tensorflow/scoring-model.ts'
import { loadAlertsConfig } from '../../alerts/index.ts'
import { parseFreeText, printJson, printLine, printProgress } from '../command.ts'
import { addPlaceOptions, whereToLook } from '../commands/stream-options.ts'
import { type StreamOptions, openStream } from '../features/export-rows.ts'

export interface ModelOptions extends StreamOptions {
  readonly store?: string
}

/** Author and reason, which every change must record. */
export interface ChangeOptions extends ModelOptions {
  readonly reason: string
  readonly author?: string
}

/** The stores of the option, else of the environment, else of this checkout. */
export function storesOf(options: ModelOptions): Stores {
  const read = new EnvReader(process.env)
  const settings = readStoreSettings(read, options.store)
  read.throwIfInvalid()
  return openStores(settings, () => whereToLook(options, loadAlertsConfig(process.env)))
}

export function openControl(options: ModelOptions): Promise<ControlAccess> {
  return openStream(options)
}

/** The name of the current user; a container may have none. */
export function authorOf({ author }: Pick<ChangeOptions, 'author'>): string {
  if (author !== undefined) return author
  try {
    return userInfo().username
  } catch {
    return 'unknown'
  }
}

/** Options of every command that reads the store. */
export function addStoreOption(command: Command): Command {
  return command.option(
    '--store <place>',
    'folder or "topic" (default SLUICE_POLICY_STORE and SLUICE_MODEL_STORE, or .sluice/models)',
  )
}

/** Options of every command that reads the control topic. */
export function addStreamOptions(command: Command): Command {
  return addPlaceOptions(addStoreOption(command))
}

/** Options of every command that changes a deployment. */
export function addChangeOptions(command: Command): Command {
  return addStreamOptions(command)
    .requiredOption(
      '--reason <text>',
      'why; recorded in the control message',
      parseFreeText('--reason'),
    )
    .option(
      '--author <name>',
      'who; recorded in the control message (default: the user)',
      parseFreeText('--author'),
    )
    .option('--json', 'print JSON')
}

// Publishes to the control topic the models that a stream must use.

/** The deployment in force; `NO_DEPLOYMENT` when none was published. */
export async function deploymentInForce(access: ControlAccess): Promise<Deployment> {
  return (await readDeployment(access, 'model'))?.deployment ?? NO_DEPLOYMENT
}

/** Publishes the deployment and prints it. */
export async function publishDeployment(
  access: ControlAccess,
  deployment: Deployment,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const word = { author: authorOf(options), reason, atMs: systemClock.nowMs() }
  const position = await publishControl(access, controlOf(deployment, word))
  if (options.json === true) {
    printJson({ position, active: deployment.active, shadow: deployment.shadow, ...word })
    return
  }
  printLine(`active  ${deployment.active ?? "the scorers' own (SLUICE_MODEL)"}`)
  printLine(`shadow  ${deployment.shadow ?? 'none'}`)
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; scorers switch between batches`,
  )
}

// Resolves a folder or a digest to a model of the store, which is opened once as a check.

/** A shorter prefix of a digest would be a guess. */
const PREFIX_MIN = 6

/**
 * Finds the model in the store, or copies its folder there, and opens it: files, digests, feature list and golden
 * vectors are checked, so that a model that a scorer would refuse is refused here. The caller closes it. @throws
 * SluiceError SLUICE_MODEL_NOT_FOUND, SLUICE_MODEL_CORRUPT, SLUICE_MODEL_INCOMPATIBLE or SLUICE_BACKEND_UNAVAILABLE.
 */
export async function chooseModel(store: ModelStore, named: string): Promise<ScoringModel> {
  const { folder } = await inStore(store, named)
  return openScoringModel({
    folder,
    backend: 'auto',
    referenceCurrency: configuredRates().reference,
  })
}

async function inStore(store: ModelStore, named: string): Promise<{ readonly folder: string }> {
  if (existsSync(join(named, 'manifest.json'))) {
    const added = await store.add(named)
    if (added.isNew) printProgress(`added ${named} to the store as ${added.folder}`)
    return added
  }
  return store.find(await fullDigest(store, named))
}

/** A prefix of the digest is enough when only one model of the store has it. */
async function fullDigest(store: ModelStore, named: string): Promise<string> {
  if (isDigest(named)) return named
  const isPrefix = named.length >= PREFIX_MIN && /^[0-9a-f]+$/.test(named)
  const found = isPrefix
    ? (await store.list()).filter(({ digest }) => digest.startsWith(named))
    : []
  if (found.length === 1 && found[0] !== undefined) return found[0].digest
  throw new SluiceError(
    'SLUICE_MODEL_NOT_FOUND',
    found.length > 1
      ? `${named} is the start of ${found.length} digests in ${store.place}; give more of it.`
      : `"${named}" is no model folder and no model of the store ${store.place}. Give a folder with a manifest.json, or a ` +
          'digest that "sluice model list" shows.',
  )
}
