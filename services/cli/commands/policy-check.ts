// sluice policy check: all faults of a policy with their places, without a stream.

import type { Command } from 'commander'
import { printJson, printLine, printProgress } from '../command.ts'
import { faultCount, faultLines, parsePolicyFile } from '../policy/policy-file.ts'

const EXIT_FAULTY = 2

/** Adds the subcommand to `sluice policy`. */
export function registerCheck(policy: Command): void {
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
