// Prints the commands of Kafka's own tool that grant each role its rights, from kafka-acls.json.
//
//   node infra/security/print-acls.mjs [--prefix bank.] [--group sluice-scorer] [--source acme.payments] [--role scorer]

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const OPTIONS = { TOPIC: '--topic', GROUP: '--group', TRANSACTIONAL_ID: '--transactional-id' }

const { values } = parseArgs({
  options: {
    prefix: { type: 'string', default: '' },
    group: { type: 'string', default: 'sluice-scorer' },
    source: { type: 'string', default: 'acme.payments' },
    role: { type: 'string' },
  },
})
const { roles } = JSON.parse(readFileSync(join(import.meta.dirname, 'kafka-acls.json'), 'utf8'))

for (const { role, principal, purpose, acls } of roles) {
  if (values.role !== undefined && values.role !== role) continue
  console.log(`# ${role}: ${purpose}`)
  for (const { resource, pattern, name, operations, why } of acls) {
    const full = name
      .replace('${TOPIC_PREFIX}', values.prefix)
      .replace('${GROUP_ID}', values.group)
      .replace('${SOURCE_TOPIC}', values.source)
    const words = operations.map((word) => `--operation ${word[0]}${word.slice(1).toLowerCase()}`)
    console.log(
      'kafka-acls.sh --bootstrap-server "$BROKERS" --command-config admin.properties --add ' +
        `--allow-principal ${principal} ${words.join(' ')} ` +
        `--resource-pattern-type ${pattern.toLowerCase()} ${OPTIONS[resource]} '${full}'  # ${why}`,
    )
  }
}
