// sluice model: lists models and changes which of them decide. One section for each subcommand.

import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import {
  type Verification,
  verifyModelFolder,
} from '../../../tools/model-documentation/verify-folder.ts'
import {
  type Deployment,
  NO_DEPLOYMENT,
  activated,
  rolledBack,
  shadowed,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { BACKENDS, type Backend, type ScoringModel } from '../../core/scoring/scoring-model.ts'
import { readDeployment } from '../../platform/kafka/control-topic.ts'
import type { StoredModel } from '../../platform/model-store.ts'
import { interruptSignal, printJson, printLine, printProgress } from '../command.ts'
import {
  type ChangeOptions,
  type ModelOptions,
  addChangeOptions,
  addStoreOption,
  addStreamOptions,
  chooseModel,
  deploymentInForce,
  openControl,
  publishDeployment,
  storesOf,
} from '../model/model-stream.ts'
import { type GateOptions, runGate } from '../model/gate.ts'
import { printTable } from '../table.ts'
import { environmentHelp } from './environment-help.ts'
import { durationOption } from './produce.ts'

// sluice model list: shows the models of the store, and which of them serve.

const DIGEST_CHARACTERS = 12

interface ListOptions extends ModelOptions {
  readonly offline?: boolean
}

/** Adds the subcommand to `sluice model`. */
function registerList(model: Command): void {
  const listing = model
    .command('list')
    .summary('show models, and which of them serve')
    .description(
      'Shows the models of the store, each checked again, and the one that the control topic requests.',
    )
    .option('--offline', 'do not ask Kafka what is in force')
    .option('--json', 'print JSON')
  addStreamOptions(listing).action(list)
}

async function list(options: ListOptions): Promise<void> {
  const store = storesOf(options).models
  const models = await store.list()
  const placed =
    options.offline === true ? null : await readDeployment(await openControl(options), 'model')
  const deployment = placed?.deployment ?? NO_DEPLOYMENT
  if (options.json === true) {
    const inForce =
      placed === null
        ? null
        : { position: placed.position, ...deployment, ...saidOf(placed.control) }
    printJson({
      store: store.place,
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
    printProgress(
      `the store ${store.place} is empty; "sluice model add <folder>" puts a model there`,
    )
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

// sluice model add: puts a model folder into the store.

/** Adds the subcommand to `sluice model`. */
function registerAdd(model: Command): void {
  const adding = model
    .command('add')
    .summary('put a model folder into the store')
    .description(
      'Checks a model folder and copies it into the store, under its digest. A model that is there is left as it is.',
    )
    .argument('<folder>', 'folder that "sluice train" wrote')
    .option('--json', 'print JSON')
  addStoreOption(adding).action(async (folder: string, options: ModelOptions) => {
    const { folder: stored, digest, manifest, isNew } = await storesOf(options).models.add(folder)
    const { name, version } = manifest
    if (options.json === true) printJson({ digest, name, version, folder: stored, isNew })
    else printLine(`${digest}  ${version}  ${isNew ? 'added' : 'was there'}`)
  })
}

// sluice model activate: puts another model into service.

const DAY_MS = 86_400_000

interface ActivateOptions extends ChangeOptions, GateOptions {
  readonly override?: boolean
}

/** Adds the subcommand to `sluice model`. */
function registerActivate(model: Command): void {
  const activate = model
    .command('activate')
    .summary('let another model decide')
    .description(
      'Checks the model, puts it into the store, asks the fairness gate where one is set, and says so in the control ' +
        'topic. Scorers open it, warm it, and switch between two batches; one that cannot open it keeps the old one.',
    )
    .argument('<folder or digest>', 'the model')
    .option(
      '--fairness <file>',
      'rule of the fairness gate, JSON (default SLUICE_FAIRNESS_RULE, or no gate)',
    )
    .option(
      '--evaluation <file|topics>',
      'rows for the gate: comma separated values, or what this stream has decided',
    )
    .option(
      '--mature <duration>',
      'with topics: leave out decisions younger than this',
      durationOption,
      7 * DAY_MS,
    )
    .option('--override', 'activate although the gate is breached; --reason must say why')
  addChangeOptions(activate).action(async (named: string, options: ActivateOptions) => {
    const access = await openControl(options)
    const candidate = await chooseModel(storesOf(options).models, named)
    try {
      const breach = await runGate(candidate, options, access, interruptSignal())
      const reason = reasonOf(breach, candidate, options)
      const deployment = activated(await deploymentInForce(access), candidate.info.digest)
      await publishDeployment(access, deployment, options, reason)
    } finally {
      candidate.close()
    }
  })
}

/** @throws SluiceError SLUICE_MODEL_UNFAIR when the model breaches the gate and no override is given. */
function reasonOf(breach: string | null, { info }: ScoringModel, options: ActivateOptions): string {
  if (breach === null) return options.reason
  if (options.override !== true) {
    throw new SluiceError(
      'SLUICE_MODEL_UNFAIR',
      `${info.version} is not activated: ${breach}. Look at the groups above; --override activates it all the same ` +
        'and records that with the reason.',
    )
  }
  printProgress(`the gate is overridden: ${breach}`)
  return `${options.reason} [gate overridden: ${breach}]`
}

// sluice model shadow: scores the same rows with a model alongside the one that decides, without effect.

interface ShadowOptions extends ChangeOptions {
  readonly off?: boolean
}

/** Adds the subcommand to `sluice model`. */
function registerShadow(model: Command): void {
  const shadow = model
    .command('shadow')
    .summary('let a model score alongside the active one, without effect')
    .description(
      'The shadow scores the rows of committed batches; how far it agrees, and how both do as labels come in, is on ' +
        'the dashboard "Models".',
    )
    .argument('[folder or digest]', 'the model; none with --off')
    .option('--off', 'end the shadow')
  addChangeOptions(shadow).action(async (named: string | undefined, options: ShadowOptions) => {
    if ((named === undefined) !== (options.off === true)) {
      throw new SluiceError('SLUICE_USAGE', 'Give a model, or --off to end the shadow.')
    }
    const digest = named === undefined ? null : await checkedDigest(named, options)
    const access = await openControl(options)
    const deployment = await deploymentInForce(access)
    if (digest !== null && deployment.active === digest) {
      throw new SluiceError(
        'SLUICE_USAGE',
        `${digest} is the active model; a shadow is another one.`,
      )
    }
    await publishDeployment(access, shadowed(deployment, digest), options)
  })
}

async function checkedDigest(named: string, options: ShadowOptions): Promise<string> {
  const model = await chooseModel(storesOf(options).models, named)
  model.close()
  return model.info.digest
}

// sluice model rollback: restores the model that decided before.

/** Adds the subcommand to `sluice model`. */
function registerRollback(model: Command): void {
  const rollback = model
    .command('rollback')
    .summary('back to the model that decided before')
    .description(
      'Names the model that was active before the present one; again, the one before that. At last the scorers decide ' +
        'with their own (SLUICE_MODEL). The fairness gate is not asked: the model has decided before.',
    )
  addChangeOptions(rollback).action(async (options: ChangeOptions) => {
    const access = await openControl(options)
    const before = rolledBack(await deploymentInForce(access))
    if (before === null) {
      throw new SluiceError(
        'SLUICE_USAGE',
        'There is no earlier model: nothing was activated on this stream.',
      )
    }
    if (before.active !== null) (await chooseModel(storesOf(options).models, before.active)).close()
    await publishDeployment(access, before, options)
  })
}

// sluice model verify: checks files, documentation, scores and figures of a model folder.

const EXIT_MISMATCH = 1

interface VerifyOptions {
  readonly backend: Backend | 'auto'
  readonly json?: boolean
}

const VERIFY_EXAMPLES = `
Examples:
  $ sluice model verify models/simulator
  $ sluice model verify models/simulator --backend cpu --json

Exit code 1 when anything does not match. What is checked: docs/openness.md.`

/** Adds the subcommand to `sluice model`. */
function addVerify(model: Command): void {
  model
    .command('verify <folder>')
    .summary('check files, papers, scores and figures of a model folder')
    .description(
      'Checks every file and its digest, results, bill of materials, MOF.yml and pages, opens the model, and computes ' +
        'the golden scores and the figures of the shipped rows again.',
    )
    .addOption(
      new Option('--backend <name>', 'what to compute on')
        .choices(['auto', ...BACKENDS])
        .default('auto'),
    )
    .option('--json', 'print the findings as JSON')
    .addHelpText('after', VERIFY_EXAMPLES)
    .action(async (folder: string, options: VerifyOptions) => {
      const verification = await verifyModelFolder(resolve(folder), options.backend)
      if (options.json === true) printJson(verification)
      else printFindings(folder, verification)
      if (!verification.isSound) process.exitCode = EXIT_MISMATCH
    })
}

function printFindings(folder: string, { isSound, checks }: Verification): void {
  const rows = checks.flatMap(({ check, said, problems }) =>
    problems.length === 0
      ? [[check, `ok: ${said}`]]
      : problems.map((problem) => [check, `MISMATCH: ${problem}`]),
  )
  printTable(rows)
  const count = checks.reduce((sum, { problems }) => sum + problems.length, 0)
  printLine(isSound ? `${folder}: everything matches` : `${folder}: ${count} mismatches`)
}

// The command with all its subcommands.

const SUBCOMMANDS = [
  registerList,
  registerAdd,
  registerActivate,
  registerShadow,
  registerRollback,
  addVerify,
] as const

const EXAMPLES = `
Examples:
  $ sluice model list
  $ sluice model shadow models/candidate --reason "compare for a week"
  $ sluice model activate models/candidate --reason "better recall at the same alerts"
  $ sluice model rollback --reason "too many flags since the change"
  $ sluice model verify models/candidate

How a change reaches the scorers, and what may stop it: docs/models.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const model = program
    .command('model')
    .summary('look at models, and change which one decides')
    .description(
      'Models are kept in a store by their digest. Which one decides, and which one runs in its shadow, is said in ' +
        'the control topic; running scorers switch between two batches.',
    )
    .addHelpText('after', () => `\n${environmentHelp('model')}\n${EXAMPLES}`)
  for (const add of SUBCOMMANDS) add(model)
}
