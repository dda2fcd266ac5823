// sluice policy promote: one step further in the modes, when nothing stands against it.

import { join } from 'node:path'
import { Option, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import {
  judgePromotion,
  missingOf,
  type GateFinding,
  type PromotionLimits,
} from '../../core/policy/promotion-gates.ts'
import { isClimb, stepProblem, withMode } from '../../core/policy/ruleset-changes.ts'
import { MODES, type Mode } from '../../core/wire/records.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import { interruptSignal, printProgress, repositoryRoot } from '../command.ts'
import { readFairnessRule } from '../model/gate.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { nextVersion, ownRuleset, publishRuleset, readInForce } from '../policy/policy-stream.ts'
import { gatherEvidence } from '../policy/promotion-evidence.ts'

const SKEW_TIMEOUT_MS = 5_000
const SKEW_PAGE_CHARACTERS_MAX = 4_000_000

interface PromoteOptions extends ChangeOptions {
  readonly segment?: string
  readonly to: Mode
  readonly skew?: string
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
    .option('--skew <url>', 'metrics page of a running "sluice skew"')
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
  const changed = withMode(ruleset, segment, to, await nextVersion(store, ruleset))
  await publishRuleset(access, store, inForce.wish, 'replace', changed, options, reason)

  async function judge(): Promise<readonly GateFinding[]> {
    const read = new EnvReader(process.env)
    const configured = read.value('SLUICE_MODEL')
    const matureMs = read.value('SLUICE_PROMOTE_MATURE_MS')
    const limits: PromotionLimits = {
      daysMin: read.value('SLUICE_PROMOTE_DAYS_MIN'),
      precisionMin: read.value('SLUICE_PROMOTE_PRECISION_MIN'),
      alertsMin: read.value('SLUICE_PROMOTE_ALERTS_MIN'),
      agreementMin: read.value('SLUICE_PROMOTE_AGREEMENT_MIN'),
      skewShareMax: read.value('SLUICE_PROMOTE_SKEW_SHARE_MAX'),
    }
    read.throwIfInvalid()
    const evidence = await gatherEvidence(
      {
        ...{ access, store, inForce: ruleset, segment, to, matureMs },
        configuredModel: configured ?? join(repositoryRoot(), 'models/simulator'),
        fairnessRule: await readFairnessRule(undefined),
        skewPage: options.skew === undefined ? null : await fetchPage(options.skew),
      },
      interruptSignal(),
    )
    return judgePromotion(evidence, limits)
  }
}

/** @throws SluiceError SLUICE_POLICY_GATE with the list of what is missing, unless somebody overrides it. */
function reasonOf(findings: readonly GateFinding[], options: PromoteOptions): string {
  for (const { gate, isPassed, text } of findings) {
    printProgress(`${isPassed ? 'passed ' : 'MISSING'}  ${gate.padEnd(10)} ${text}`)
  }
  const missing = missingOf(findings)
  if (missing.length === 0) return options.reason
  const names = missing.map(({ gate }) => gate).join(', ')
  if (options.overrideReason !== undefined) {
    return `${options.reason} [gates overridden: ${names}; ${options.overrideReason}]`
  }
  const list = missing.map(({ gate, text }) => `  ${gate}: ${text}`).join('\n')
  throw new SluiceError(
    'SLUICE_POLICY_GATE',
    `${nameOf(options.segment ?? null)} is not promoted to ${options.to}; missing are:\n${list}\n` +
      'Wait until they are there, or give --override-reason, which is recorded.',
    { details: { missing } },
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

async function fetchPage(url: string): Promise<string> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(SKEW_TIMEOUT_MS) })
    const page = await answer.text()
    if (answer.ok && page.length <= SKEW_PAGE_CHARACTERS_MAX) return page
    throw new Error(`status ${answer.status}, ${page.length} characters`)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The metrics page ${url} cannot be read: ${problem}. Give that of a running "sluice skew", such as ` +
        'http://127.0.0.1:9466/metrics.',
      { cause: error },
    )
  }
}
