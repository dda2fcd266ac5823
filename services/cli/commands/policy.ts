// sluice policy: shows and changes the policy that turns scores into outcomes. One section for each subcommand.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import {
  type Deployment,
  NO_DEPLOYMENT,
  rolledBack,
  shadowed,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import {
  type GateFinding,
  findingText,
  judgePromotion,
  missingOf,
} from '../../core/policy/promotion-gates.ts'
import {
  isClimb,
  stepProblem,
  withEarlier,
  withMode,
  withPolicy,
} from '../../core/policy/ruleset.ts'
import { DEFAULT_FAIRNESS_RULE } from '../../core/scoring/fairness.ts'
import { MODES, type Mode } from '../../core/wire/records.ts'
import { loadLakeConfig } from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { readDeployment } from '../../platform/kafka/control-topic.ts'
import {
  addPolicyText,
  addRuleset,
  findPolicyText,
  findRuleset,
  listRulesets,
  openRuleset,
} from '../../platform/policy-store.ts'
import { groupOf } from './breaker.ts'
import { interruptSignal, printJson, printLine, printProgress, repositoryRoot } from '../command.ts'
import { readFairnessRule } from '../model/gate.ts'
import {
  type ChangeOptions,
  type ModelOptions,
  addChangeOptions,
  addStreamOptions,
  openControl,
  storesOf,
} from '../model/model-stream.ts'
import {
  faultCount,
  faultLines,
  findNamedRuleset,
  nextVersion,
  ownRuleset,
  parsePolicyFile,
  publishPolicyDeployment,
  publishRuleset,
  readInForce,
  readPolicyFile,
} from '../policy/policy-stream.ts'
import {
  RECOMPUTED_MESSAGES_MAX,
  gatherEvidence,
  loadPromotionConfig,
} from '../policy/promotion-evidence.ts'
import { addressOption, scorerOption, usualScorers } from '../policy/scorer-addresses.ts'
import {
  type PolicyStatus,
  gatherStatus,
  statusJson,
  statusLines,
} from '../policy/policy-status.ts'
import { printTable, tableLines } from '../table.ts'
import { environmentHelp } from './environment-help.ts'

// sluice policy check: prints all faults of a policy with their places, without a stream.

const EXIT_FAULTY = 2

/** Adds the subcommand to `sluice policy`. */
function registerCheck(policy: Command): void {
  policy
    .command('check')
    .summary('find all faults of a policy')
    .description(
      'Reads the file as "apply" would and prints every fault with line and column. Exits 0 when there is none, 2 ' +
        'otherwise. Needs no Kafka.',
    )
    .argument('<file>', 'the policy, YAML')
    .option('--json', 'print JSON')
    .action(async (file: string, options: { readonly json?: boolean }) => {
      const { parsed } = await parsePolicyFile(file)
      if (!parsed.ok) process.exitCode = EXIT_FAULTY
      if (options.json === true) {
        printJson(parsed.ok ? { ok: true, policy: parsed.policy } : parsed)
        return
      }
      if (!parsed.ok) {
        for (const line of faultLines(file, parsed.faults)) printLine(line)
        printProgress(faultCount(parsed.faults))
        return
      }
      const { name, rules, lists, segments } = parsed.policy
      printLine(
        `${file}: policy ${name} with ${rules.length} rules, ${lists.length} lists, ${segments.length} segments: no fault`,
      )
    })
}

// sluice policy status: shows the policy in force.

const EXIT_NOT_AS_ASKED = 1

const STATUS_EXAMPLES = `
Examples:
  $ sluice policy status
  $ sluice policy status --scorer 127.0.0.1:9464 --scorer 127.0.0.1:9465
  $ sluice policy status --json | jq .active.version`

interface StatusOptions extends ModelOptions {
  readonly scorer?: readonly string[]
  readonly group?: string
}

/** Adds the subcommand to `sluice policy`. */
function registerPolicyStatus(policy: Command): void {
  const status = policy
    .command('status')
    .summary('show the policy in force')
    .description(
      'Shows the policy in force and its author, its modes, the shadow, lists, breakers, the target of a rollback, ' +
        'and whether running scorers serve it. Exits 1 if the requested ruleset is not in the store, if a scorer ' +
        'serves another one, or if a scorer named with --scorer does not answer.',
    )
    .option(
      '--scorer <address>',
      'metrics page of a scorer, host:port or URL; may be given often (default: SLUICE_METRICS_HOST and _PORT)',
      scorerOption,
    )
    .option(
      '--group <id>',
      'group of the scorers (default SLUICE_GROUP_ID, or the topic prefix and sluice-scorer)',
    )
    .option('--json', 'print JSON')
    .addHelpText('after', STATUS_EXAMPLES)
  addStreamOptions(status).action(runStatus)
}

async function runStatus(options: StatusOptions): Promise<void> {
  const access = await openControl(options)
  const status = await gatherStatus({
    access,
    store: storesOf(options).policies,
    group: groupOf(options, access.topicPrefix),
    scorers: options.scorer ?? usualScorers(),
    isGuess: options.scorer === undefined,
    nowMs: systemClock.nowMs(),
  })
  if (options.json === true) printJson(statusJson(status))
  else for (const line of statusLines(status)) printLine(line)
  if (!isAsAsked(status)) process.exitCode = EXIT_NOT_AS_ASKED
}

function isAsAsked({ active, lists, scorers }: PolicyStatus): boolean {
  const isWhole = active.problem === null && lists.every(({ problem }) => problem === null)
  const isServed = scorers.asked.every(
    ({ verdict }) =>
      verdict === 'serves' ||
      (scorers.isGuess && (verdict === 'unreachable' || verdict === 'no_scorer')),
  )
  return isWhole && isServed
}

// sluice policy apply: puts another policy in force.

interface ApplyOptions extends ChangeOptions {
  readonly mode: 'observe' | 'flag'
}

/** Adds the subcommand to `sluice policy`. */
function registerApply(policy: Command): void {
  const apply = policy
    .command('apply')
    .summary('put a policy in force')
    .description(
      'Checks the file, puts it into the store, and says so in the control topic. Another version of the policy in ' +
        'force (the same name) keeps its modes; a new policy begins in the mode of --mode. Lists stay as they are.',
    )
    .argument('<file>', 'the policy, YAML')
    .addOption(
      new Option('--mode <mode>', 'mode in which a policy of another name begins')
        .choices(['observe', 'flag'])
        .default('observe'),
    )
  addChangeOptions(apply).action(async (file: string, options: ApplyOptions) => {
    const { text, document } = await readPolicyFile(file)
    const store = storesOf(options).policies
    const access = await openControl(options)
    const inForce = await readInForce(access, store)
    const digest = await addPolicyText(store, text)
    const version = await nextVersion(store, inForce.ruleset)
    const name = inForce.document?.name ?? null
    const ruleset = withPolicy(inForce.ruleset, name, { digest, document }, options.mode, version)
    await publishRuleset(
      access,
      { store, deployment: inForce.deployment, kind: 'activate', ruleset },
      options,
    )
    if (name === document.name || ruleset.mode !== 'observe') return
    printProgress(
      'the policy begins in mode observe: decisions are recorded and nothing is published; "sluice policy promote" continues',
    )
  })
}

// sluice policy list: the rulesets of the store, and which of them serve.

const DIGEST_CHARACTERS = 12

interface ListOptions extends ModelOptions {
  readonly offline?: boolean
}

/** Adds the subcommand to `sluice policy`. */
function registerPolicyList(policy: Command): void {
  const listing = policy
    .command('list')
    .summary('show versions, and which of them serve')
    .description(
      'Shows the rulesets of the store, the newest first, and the one that the control topic requests.',
    )
    .option('--offline', 'do not ask Kafka what is in force')
    .option('--json', 'print JSON')
  addStreamOptions(listing).action(async (options: ListOptions) => {
    const store = storesOf(options).policies
    const rulesets = await listRulesets(store)
    const placed =
      options.offline === true ? null : await readDeployment(await openControl(options), 'policy')
    const deployment = placed?.deployment ?? NO_DEPLOYMENT
    if (options.json === true) {
      const inForce = placed === null ? null : { position: placed.position, ...deployment }
      printJson({
        store: store.place,
        inForce,
        control: placed?.control ?? null,
        rulesets: rulesets.map((one) => ({ ...one, role: roleOf(one.digest, deployment) })),
      })
      return
    }
    const rows = rulesets.map(({ digest, ruleset }) => {
      const policy = ruleset.policy?.slice(0, DIGEST_CHARACTERS) ?? 'built-in'
      const name = digest.slice(0, DIGEST_CHARACTERS)
      const role = roleOf(digest, deployment) ?? ''
      return [name, `version ${ruleset.version}`, `policy ${policy}`, ruleset.mode, role]
    })
    printTable(rows)
    if (rulesets.length === 0) printProgress(`the store ${store.place} has no ruleset`)
    if (options.offline === true) return
    if (placed === null || deployment.active === null) printProgress('the built-in policy decides')
    const control = placed?.control ?? null
    if (control !== null) {
      const { author, reason, atMs } = control
      printProgress(`said on ${new Date(atMs).toISOString()} by ${author}: ${reason}`)
    }
  })
}

function roleOf(digest: string, deployment: Deployment): 'active' | 'shadow' | 'earlier' | null {
  if (digest === deployment.active) return 'active'
  if (digest === deployment.shadow) return 'shadow'
  return deployment.earlier.includes(digest) ? 'earlier' : null
}

// sluice policy show: a ruleset with the text of its policy.

/** Adds the subcommand to `sluice policy`. */
function registerShow(policy: Command): void {
  const show = policy
    .command('show')
    .summary('print a ruleset and its policy')
    .description(
      'Prints the modes and lists of a ruleset on standard error and the YAML of its policy on standard output.',
    )
    .argument(
      '[ruleset]',
      'its version, its digest, or the beginning of that (default: the one in force)',
    )
    .option('--json', 'print JSON')
  addStreamOptions(show).action(async (named: string | undefined, options: ModelOptions) => {
    const store = storesOf(options).policies
    const digest =
      named === undefined
        ? ((await readDeployment(await openControl(options), 'policy'))?.deployment.active ?? null)
        : (await findNamedRuleset(store, named)).digest
    if (digest === null) {
      printProgress(
        'the built-in policy decides: thresholds of the model, one mode (SLUICE_MODE), no rules',
      )
      if (options.json === true) printJson(null)
      return
    }
    const ruleset = await findRuleset(store, digest)
    const text = ruleset.policy === null ? null : await findPolicyText(store, ruleset.policy)
    if (options.json === true) {
      printJson({ digest, ruleset, text })
      return
    }
    printProgress(`ruleset ${digest}, version ${ruleset.version}, mode ${ruleset.mode}`)
    for (const [name, mode] of Object.entries(ruleset.segmentModes)) {
      printProgress(`segment ${name}: mode ${mode}`)
    }
    for (const [name, list] of Object.entries(ruleset.lists)) printProgress(`list ${name}: ${list}`)
    if (text !== null) printLine(text.trimEnd())
  })
}

// sluice policy shadow: evaluates a policy alongside the one that decides, without effect.

interface ShadowOptions extends ChangeOptions {
  readonly off?: boolean
}

/** Adds the subcommand to `sluice policy`. */
function registerPolicyShadow(policy: Command): void {
  const shadow = policy
    .command('shadow')
    .summary('let a policy rule alongside the active one, without effect')
    .description(
      'The shadow rules what was decided, with the lists that are in force; how often both come to the same outcome ' +
        'is on the dashboard "Models".',
    )
    .argument('[file]', 'the policy, YAML; none with --off')
    .option('--off', 'end the shadow')
  addChangeOptions(shadow).action(async (file: string | undefined, options: ShadowOptions) => {
    if ((file === undefined) !== (options.off === true)) {
      throw new SluiceError('SLUICE_USAGE', 'Give a policy, or --off to end the shadow.')
    }
    const read = file === undefined ? null : await readPolicyFile(file)
    const store = storesOf(options).policies
    const access = await openControl(options)
    const { deployment, ruleset } = await readInForce(access, store)
    if (read === null) {
      await publishPolicyDeployment(access, shadowed(deployment, null), null, options)
      return
    }
    const candidate = {
      version: await nextVersion(store, ruleset),
      policy: await addPolicyText(store, read.text),
      mode: 'observe',
      segmentModes: {},
      lists: ruleset?.lists ?? {},
    } as const
    await publishRuleset(access, { store, deployment, kind: 'shadow', ruleset: candidate }, options)
  })
}

// sluice policy promote: moves a policy to the next mode when no condition fails.

interface PromoteOptions extends ChangeOptions {
  readonly segment?: string
  readonly to: Mode
  readonly skew?: string
  readonly scorer?: readonly string[]
  readonly lake?: string
  readonly fairness?: string
  readonly overrideReason?: string
}

/** Adds the subcommand to `sluice policy`. */
function registerPromote(policy: Command): void {
  const promote = policy
    .command('promote')
    .summary('let the policy do more, one step at a time')
    .description(
      'Modes climb from observe to flag to enforce. Before a step up, what the topics, the store and the skew meter say ' +
        'is held against the limits (SLUICE_PROMOTE_...); what is missing is listed, and nothing is changed. A step ' +
        'down is always free.',
    )
    .option(
      '--segment <name>',
      'a segment of the policy (default: all segments without their own mode)',
    )
    .addOption(new Option('--to <mode>', 'the mode to go to').choices(MODES).makeOptionMandatory())
    .option(
      '--skew <address>',
      'metrics page of a running "sluice skew"; without one a sample is recomputed here',
      addressOption,
    )
    .option(
      '--scorer <address>',
      'metrics page of a scorer, host:port or URL; may be given often (default: SLUICE_METRICS_HOST and _PORT)',
      scorerOption,
    )
    .option(
      '--lake <folder>',
      'lake for fairness (default SLUICE_LAKE_FOLDER or lake, if there is one)',
    )
    .option(
      '--fairness <file>',
      'rule of fairness (default SLUICE_FAIRNESS_RULE, else the usual one)',
    )
    .option('--override-reason <text>', 'promote despite failed gates; recorded with the reason')
  addChangeOptions(promote).action(runPromote)
}

async function runPromote(options: PromoteOptions): Promise<void> {
  const { to, segment = null } = options
  const stores = storesOf(options)
  const store = stores.policies
  const access = await openControl(options)
  const inForce = await readInForce(access, store)
  const { ruleset, document } = ownRuleset(inForce)
  const active = inForce.deployment.active ?? ''
  checkSegment(document, segment)
  const problem = stepProblem(ruleset, segment, to)
  if (problem !== null) {
    throw new SluiceError(
      'SLUICE_USAGE',
      `${nameOf(segment)} is not promoted to ${to}: ${problem}.`,
    )
  }
  const findings = isClimb(ruleset, segment, to) ? await judge() : []
  const reason = reasonOf(findings, options)
  // Judging takes a while, so a change by another operator in the meantime is detected.
  const { deployment } = await readInForce(access, store)
  if (deployment.active !== inForce.deployment.active) {
    throw new SluiceError(
      'SLUICE_USAGE',
      `${nameOf(segment)} is not promoted to ${to}: what is in force has changed while the gates were judged. Ask again.`,
    )
  }
  const changed = withMode(ruleset, segment, to, await nextVersion(store, ruleset))
  await publishRuleset(
    access,
    { store, deployment, kind: 'replace', ruleset: changed },
    options,
    reason,
  )

  async function judge(): Promise<readonly GateFinding[]> {
    const { limits, matureMs, modelFolder, eventAheadMsMax } = loadPromotionConfig(process.env)
    const rule = await readFairnessRule(options.fairness)
    const evidence = await gatherEvidence(
      {
        ...{ access, stores, active, inForce: ruleset, document, segment, to },
        ...{ matureMs, eventAheadMsMax, messagesMax: RECOMPUTED_MESSAGES_MAX },
        configuredModel: modelFolder ?? join(repositoryRoot(), 'models/simulator'),
        fairnessRule: rule ?? DEFAULT_FAIRNESS_RULE,
        fairnessRuleFrom: rule === null ? 'the usual rule' : 'the rule that is set',
        lake: lakeOf(options),
        meter: options.skew ?? null,
        scorers: options.scorer ?? usualScorers(),
      },
      interruptSignal(),
    )
    return judgePromotion(evidence, limits)
  }
}

/** @throws SluiceError SLUICE_POLICY_GATE with the failed gates, unless an override is given. */
function reasonOf(findings: readonly GateFinding[], options: PromoteOptions): string {
  const rows = findings.map((finding) => [
    finding.isPassed ? 'passed' : 'MISSING',
    finding.gate,
    findingText(finding),
  ])
  for (const line of tableLines(rows)) printProgress(line)
  const missing = missingOf(findings)
  if (missing.length === 0) return options.reason
  const names = missing.map(({ gate }) => gate).join(', ')
  if (options.overrideReason !== undefined) {
    return `${options.reason} [gates overridden: ${names}; ${options.overrideReason}]`
  }
  const list = missing.map((finding) => `  ${finding.gate}: ${findingText(finding)}`).join('\n')
  throw new SluiceError(
    'SLUICE_POLICY_GATE',
    `${nameOf(options.segment ?? null)} is not promoted to ${options.to}; missing are:\n${list}\n` +
      'Wait until they are there, or give --override-reason, which is recorded.',
    { details: { missing, findings } },
  )
}

function checkSegment({ segments }: PolicyDocument, segment: string | null): void {
  if (segment === null || segments.some(({ name }) => name === segment)) return
  const names = segments.map(({ name }) => name).join(', ')
  throw new SluiceError(
    'SLUICE_USAGE',
    `The policy in force has no segment ${segment}; it has ${names === '' ? 'none' : names}.`,
  )
}

function nameOf(segment: string | null): string {
  return segment === null ? 'The policy' : `Segment ${segment}`
}

/** The named lake, else the default one if it exists. */
function lakeOf({ lake }: PromoteOptions): string | null {
  if (lake !== undefined) return lake
  const { folder } = loadLakeConfig(process.env)
  return existsSync(folder) ? folder : null
}

// sluice policy rollback: restores the policy that decided before.

/** Adds the subcommand to `sluice policy`. */
function registerPolicyRollback(policy: Command): void {
  const rollback = policy
    .command('rollback')
    .summary('back to the policy that decided before')
    .description(
      'Puts the policy and the modes before the present ones in force again, as a new version; again, those before ' +
        'that, and at last the built-in policy. Lists stay as they are now.',
    )
  addChangeOptions(rollback).action(async (options: ChangeOptions) => {
    const store = storesOf(options).policies
    const access = await openControl(options)
    const { deployment, ruleset } = await readInForce(access, store)
    const before = rolledBack(deployment)
    if (before === null) {
      throw new SluiceError(
        'SLUICE_USAGE',
        'There is no earlier policy: nothing was applied on this stream.',
      )
    }
    if (before.active === null) {
      await publishPolicyDeployment(access, before, null, options)
      return
    }
    const earlier = await findRuleset(store, before.active)
    const again = withEarlier(ruleset, earlier, await nextVersion(store, ruleset))
    const digest = await addRuleset(store, again)
    // A ruleset that a scorer would refuse is refused here.
    await openRuleset(store, digest)
    await publishPolicyDeployment(access, { ...before, active: digest }, again, options)
  })
}

// The command with all its subcommands.

const SUBCOMMANDS = [
  registerCheck,
  registerPolicyStatus,
  registerApply,
  registerPolicyList,
  registerShow,
  registerPolicyShadow,
  registerPromote,
  registerPolicyRollback,
] as const

const EXAMPLES = `
Examples:
  $ sluice policy status
  $ sluice policy check docs/examples/policy.yaml
  $ sluice policy shadow docs/examples/policy.yaml --reason "compare for a week"
  $ sluice policy apply docs/examples/policy.yaml --reason "rules of the autumn review"
  $ sluice policy promote --segment online --to flag --reason "two weeks in observe"
  $ sluice policy rollback --reason "too many flags since the change"

Every field, the conditions and the order of override: docs/policy.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const policy = program
    .command('policy')
    .summary('check policies, and change which one decides')
    .description(
      'A policy is a YAML file: thresholds or costs, rules, lists, segments and limits. What is in force is a ruleset ' +
        'with a version, said in the control topic by its digest; running scorers switch between two batches.',
    )
    .addHelpText('after', () => `\n${environmentHelp('policy')}\n${EXAMPLES}`)
  for (const add of SUBCOMMANDS) add(policy)
}
