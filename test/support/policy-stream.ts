// A stream whose policy tests change with the commands, as an operator does.

import { strictEqual } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Ruleset } from '../../services/core/policy/ruleset.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { temporaryFolder } from './model-variants.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { eventually } from './poll.ts'
import type { ScorerProcess } from './scorer-process.ts'
import { runSluice, type EndedCommand } from './sluice-command.ts'
import { openStream, type TestStream } from './streams.ts'

export const POLICY_HEAD = 'apiVersion: sluice/v1\nname: cards\nmatch: first\n'
/** Everything above 20 EUR is flagged, everything below is approved; names show which rule matched. */
export const BY_AMOUNT = `${POLICY_HEAD}segments:
  - name: large
    when: transaction.referenceMinor >= 2000
rules:
  - name: large-amount
    segment: large
    when: transaction.referenceMinor >= 2000
    outcome: flag
    reason: "{transaction.referenceMinor} cents"
  - name: small-amount
    when: transaction.referenceMinor < 2000
    outcome: approve
    reason: small
`
/** A stream with a store of its own. */
export interface PolicySetup {
  readonly t: TestContext
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly store: string
  readonly environment: Record<string, string>
}

export async function setUp(t: TestContext, name: string): Promise<PolicySetup> {
  const stream = await openStream(t, name)
  const store = temporaryFolder(t, 'store')
  const environment = stream.patientEnvironment({
    SLUICE_MODEL_STORE: store,
    SLUICE_MODE: 'enforce',
  })
  return { t, stream, outputs: followOutputs(t, stream), store, environment }
}

export function fileOf({ t }: PolicySetup, text: string): string {
  const file = join(temporaryFolder(t, 'policy'), 'policy.yaml')
  writeFileSync(file, text)
  return file
}

export function run({ environment }: PolicySetup, ...args: string[]): Promise<EndedCommand> {
  return runSluice(args, environment)
}

/** Output of the command; fails when the command fails. */
export async function say(setup: PolicySetup, ...args: string[]): Promise<Said> {
  const { code, stdout, stderr } = await run(setup, ...args, '--reason', 'a test', '--json')
  strictEqual(code, 0, stderr)
  return JSON.parse(stdout) as Said
}

export interface Said {
  readonly active: string | null
  readonly shadow: string | null
  readonly position: number
  readonly ruleset: Ruleset | null
}

export async function inForce(scorer: ScorerProcess, digest: string | null): Promise<void> {
  await eventually(`${digest ?? 'the built-in policy'} is in force`, async () => {
    const { body } = await scorer.page('/metrics')
    return digest === null
      ? /^sluice_policy_version\{role="active"\} 0$/m.test(body)
      : body.includes(`sluice_policy_info{policy_digest="${digest}"`)
  })
}

export async function decide({ stream, outputs }: PolicySetup, events: readonly ProducedEvent[]) {
  const from = outputs.decisionBatches.length
  await stream.send(events)
  await outputs.until('the answers', () => outputs.isCaughtUp)
  return outputs.decisionBatches.slice(from)
}
