// sluice policy promote: one step further in the modes, when nothing stands against it.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Option, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import {
  findingText,
  judgePromotion,
  missingOf,
  type GateFinding,
} from '../../core/policy/promotion-gates.ts'
import { isClimb, stepProblem, withMode } from '../../core/policy/ruleset.ts'
import { DEFAULT_FAIRNESS_RULE } from '../../core/scoring/fairness.ts'
import { MODES, type Mode } from '../../core/wire/records.ts'
import { loadLakeConfig } from '../../lake/index.ts'
import { interruptSignal, printProgress, repositoryRoot } from '../command.ts'
import { readFairnessRule } from '../model/gate.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { nextVersion, ownRuleset, publishRuleset, readInForce } from '../policy/policy-stream.ts'
import { loadPromotionConfig } from '../policy/promotion-config.ts'
import { gatherEvidence } from '../policy/promotion-evidence.ts'
import { addressOption, scorerOption, usualScorers } from '../policy/scorer-addresses.ts'
import { RECOMPUTED_MESSAGES_MAX } from '../policy/skew-evidence.ts'
import { tableLines } from '../table.ts'

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
export function registerPromote(policy: Command): void {
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
      'a segment of the policy (default: all that has no mode of its own)',
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
    .option(
      '--override-reason <text>',
      'go on although gates are not passed; recorded with the reason',
    )
  addChangeOptions(promote).action(run)
}

async function run(options: PromoteOptions): Promise<void> {
  const { to, segment = null } = options
  const store = storeOf(options)
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
  // Judging takes its time: what somebody else has said meanwhile must not be lost.
  const { deployment } = await readInForce(access, store)
  if (deployment.active !== inForce.deployment.active) {
    throw new SluiceError(
      'SLUICE_USAGE',
      `${nameOf(segment)} is not promoted to ${to}: what is in force has changed while the gates were judged. Ask again.`,
    )
  }
  const changed = withMode(ruleset, segment, to, await nextVersion(store, ruleset))
  await publishRuleset(access, store, deployment, 'replace', changed, options, reason)

  async function judge(): Promise<readonly GateFinding[]> {
    const { limits, matureMs, modelFolder, eventAheadMsMax } = loadPromotionConfig(process.env)
    const rule = await readFairnessRule(options.fairness)
    const evidence = await gatherEvidence(
      {
        ...{ access, store, active, inForce: ruleset, document, segment, to },
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

/** @throws SluiceError SLUICE_POLICY_GATE with the list of what is missing, unless somebody overrides it. */
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

/** The lake that is named, else the usual one where it exists. */
function lakeOf({ lake }: PromoteOptions): string | null {
  if (lake !== undefined) return lake
  const { folder } = loadLakeConfig(process.env)
  return existsSync(folder) ? folder : null
}
