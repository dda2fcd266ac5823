// sluice policy list: the rulesets of the store, and which of them serve.

import type { Command } from 'commander'
import { type Deployment, NO_DEPLOYMENT } from '../../core/control/deployment.ts'
import { readDeployment } from '../../platform/kafka/control-topic.ts'
import { listRulesets } from '../../platform/policy-store.ts'
import { printJson, printProgress } from '../command.ts'
import { addStreamOptions, openControl, storeOf, type ModelOptions } from '../model/model-stream.ts'
import { printTable } from '../table.ts'

const DIGEST_CHARACTERS = 12

interface ListOptions extends ModelOptions {
  readonly offline?: boolean
}

/** Adds the subcommand to `sluice policy`. */
export function registerPolicyList(policy: Command): void {
  const listing = policy
    .command('list')
    .summary('show versions, and which of them serve')
    .description(
      'Shows the rulesets of the store, the newest first, and what the control topic asks for.',
    )
    .option('--offline', 'do not ask Kafka what is in force')
    .option('--json', 'print JSON')
  addStreamOptions(listing).action(async (options: ListOptions) => {
    const store = storeOf(options)
    const rulesets = await listRulesets(store)
    const placed =
      options.offline === true ? null : await readDeployment(await openControl(options), 'policy')
    const deployment = placed?.deployment ?? NO_DEPLOYMENT
    if (options.json === true) {
      const inForce = placed === null ? null : { position: placed.position, ...deployment }
      printJson({
        store,
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
    if (rulesets.length === 0) printProgress(`the store ${store} has no ruleset`)
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
