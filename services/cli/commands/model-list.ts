// sluice model list: what is in the store, and what of it serves.

import type { Command } from 'commander'
import { type Deployment, NO_DEPLOYMENT } from '../../core/control/deployment.ts'
import { readDeployment } from '../../platform/kafka/control-topic.ts'
import { listModels, type StoredModel } from '../../platform/model-store.ts'
import { printJson, printProgress } from '../command.ts'
import { addStreamOptions, openControl, storeOf, type ModelOptions } from '../model/model-stream.ts'
import { printTable } from '../table.ts'

const DIGEST_CHARACTERS = 12

interface ListOptions extends ModelOptions {
  readonly offline?: boolean
}

/** Adds the subcommand to `sluice model`. */
export function registerList(model: Command): void {
  const listing = model
    .command('list')
    .summary('show models, and which of them serve')
    .description(
      'Shows the models of the store, each checked anew, and what the control topic asks for.',
    )
    .option('--offline', 'do not ask Kafka what is in force')
    .option('--json', 'print JSON')
  addStreamOptions(listing).action(list)
}

async function list(options: ListOptions): Promise<void> {
  const store = storeOf(options)
  const models = await listModels(store)
  const placed =
    options.offline === true ? null : await readDeployment(await openControl(options), 'model')
  const deployment = placed?.deployment ?? NO_DEPLOYMENT
  if (options.json === true) {
    const inForce =
      placed === null
        ? null
        : { position: placed.position, ...deployment, ...saidOf(placed.control) }
    printJson({
      store,
      inForce,
      models: models.map((stored) => ({ ...rowOf(stored), role: roleOf(stored, deployment) })),
    })
    return
  }
  const missing = (['active', 'shadow'] as const).flatMap((role) => {
    const digest = options.offline === true ? null : deployment[role]
    if (digest === null || models.some((stored) => stored.digest === digest)) return []
    return [[digest.slice(0, DIGEST_CHARACTERS), 'NOT IN THE STORE', '', '', role]]
  })
  printTable([...models.map((stored) => cellsOf(stored, deployment)), ...missing])
  if (models.length === 0)
    printProgress(`the store ${store} is empty; "sluice model add <folder>" puts a model there`)
  if (options.offline === true) return
  if (placed === null)
    printProgress('the control topic names no model: scorers decide with their own (SLUICE_MODEL)')
  else {
    const { author, reason, at } = saidOf(placed.control)
    printProgress(`in force since ${at} by ${author}: ${reason}`)
  }
}

function saidOf(control: { author: string; reason: string; atMs: number } | null) {
  if (control === null)
    return { author: 'unknown', reason: 'the message was deleted', at: 'unknown' }
  return {
    author: control.author,
    reason: control.reason,
    at: new Date(control.atMs).toISOString(),
  }
}

function roleOf(
  { digest }: StoredModel,
  deployment: Deployment,
): 'active' | 'shadow' | 'earlier' | null {
  if (digest === deployment.active) return 'active'
  if (digest === deployment.shadow) return 'shadow'
  return deployment.earlier.includes(digest) ? 'earlier' : null
}

function rowOf(stored: StoredModel) {
  if (!stored.isWhole) return { digest: stored.digest, isWhole: false, problem: stored.problem }
  const { name, version, thresholds, metrics } = stored.manifest
  const { flag, block } = thresholds
  const { averagePrecision } = metrics.test
  return { digest: stored.digest, isWhole: true, name, version, flag, block, averagePrecision }
}

function cellsOf(stored: StoredModel, deployment: Deployment): readonly string[] {
  const digest = stored.digest.slice(0, DIGEST_CHARACTERS)
  const role = roleOf(stored, deployment) ?? ''
  if (!stored.isWhole) return [digest, 'DAMAGED', '', '', role, stored.problem]
  const { version, metrics, thresholds } = stored.manifest
  const precision = `AP ${metrics.test.averagePrecision.toFixed(3)}`
  const limits = `flag ${thresholds.flag.toFixed(3)} block ${thresholds.block.toFixed(3)}`
  return [digest, version, precision, limits, role]
}
