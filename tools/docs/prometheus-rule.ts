// The rules of infra/prometheus/rules as the PrometheusRule that the Prometheus operator reads. `npm run node --
// tools/docs/prometheus-rule.ts` writes infra/kubernetes/base/prometheus-rule.yaml; a unit test fails when that file
// differs.

import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { parse, stringify } from 'yaml'

const RULES_FOLDER = join(import.meta.dirname, '../../infra/prometheus/rules')
/** Path of the manifest. */
export const MANIFEST_FILE = join(
  import.meta.dirname,
  '../../infra/kubernetes/base/prometheus-rule.yaml',
)
const HEADER = '# Made from infra/prometheus/rules: npm run node -- tools/docs/prometheus-rule.ts\n'

/** The manifest as text, formatted like the repository's other files. Without rule files it has no group. */
export async function prometheusRuleManifest(): Promise<string> {
  const files = existsSync(RULES_FOLDER)
    ? readdirSync(RULES_FOLDER).filter((name) => /\.ya?ml$/.test(name))
    : []
  const groups = files
    .toSorted()
    .flatMap((name) => groupsOf(readFileSync(join(RULES_FOLDER, name), 'utf8')))
  const manifest = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'sluice' },
    spec: { groups },
  }
  const settings = await resolveConfig(MANIFEST_FILE)
  const text = HEADER + stringify(manifest, { lineWidth: 0, aliasDuplicateObjects: false })
  return format(text, { ...settings, parser: 'yaml' })
}

function groupsOf(text: string): readonly unknown[] {
  const { groups } = parse(text) as { readonly groups: readonly unknown[] }
  return groups
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(MANIFEST_FILE, await prometheusRuleManifest())
}
